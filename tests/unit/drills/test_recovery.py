"""When an environment counts as whole again, and what healed it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from samovar.drills.recovery import STABLE_SECONDS, Recovery, Snapshot, Watch, watch_recovery


def seen(*pids: int, healthy: bool = True, machines: Sequence[str] = ("a",), drained: bool = False) -> Snapshot:
    processes = frozenset(("dev-app-1", pid) for pid in pids)
    return Snapshot(healthy, processes, "as it is", frozenset(machines), drained)


def watched(watch: Watch, *snapshots: Snapshot, every: float = 1.0) -> Recovery:
    for number, snapshot in enumerate(snapshots):
        watch.see(snapshot, number * every)
    return watch.recovery()


def test_an_environment_is_whole_with_new_processes_that_stay() -> None:
    watch = Watch(seen(7))
    watch.see(seen(7), 0.0)
    assert watch.recovered_at is None, "nothing was lost yet"
    watch.see(seen(8), 1.0)
    watch.see(seen(9), 1.0 + STABLE_SECONDS)
    assert not watch.stable(1.0 + STABLE_SECONDS), "another process since"
    watch.see(seen(9, healthy=False), 2.0 + STABLE_SECONDS)
    watch.see(seen(9), 3.0 + STABLE_SECONDS)
    assert not watch.stable(2.9 + 2 * STABLE_SECONDS)
    assert watch.stable(3.0 + 2 * STABLE_SECONDS)
    assert watch.recovery().time_to_recover == 3.0 + STABLE_SECONDS


def test_a_loss_that_nobody_has_noticed_yet_is_no_recovery() -> None:
    assert watched(Watch(seen()), seen(), seen(), seen()).time_to_recover is None


def test_a_fault_that_is_put_back_need_not_be_noticed() -> None:
    watch = Watch(seen(7), put_back=True)
    assert watched(watch, seen(7), seen(7)).time_to_recover is None, "it is broken still"
    watch.restored_at = 2.0
    watch.see(seen(7), 2.5)
    found = watch.recovery()
    assert (found.time_to_detect, found.time_to_put_back, found.time_to_recover) == (None, 2.0, 2.5)


def test_systemd_has_healed_what_died_by_itself() -> None:
    assert watched(Watch(seen(7)), seen(healthy=False), seen(8)).healed_by == ("systemd",)


def test_a_watchdog_has_healed_what_was_sick_and_lived() -> None:
    assert watched(Watch(seen(7)), seen(7, healthy=False), seen(healthy=False), seen(8)).healed_by == ("watchdog",)


def test_a_group_has_healed_what_is_another_machine() -> None:
    lost = seen(healthy=False, machines=(), drained=True)
    found = watched(Watch(seen(7)), lost, seen(9, machines=("b",)))
    assert (found.healed_by, found.time_to_detect, found.time_to_recover) == (("balancer", "group"), 0.0, 1.0)


def test_a_watch_ends_at_its_timeout_and_says_what_it_last_saw() -> None:
    put_back = list[bool]()
    found = watch_recovery(
        lambda: seen(7, healthy=False),
        Watch(seen(7), put_back=True),
        began=0.0,
        timeout=0.0,
        hold=0.0,
        broken_at=lambda: 0.0,
        restore=lambda: put_back.append(True),
        stopped=lambda: False,
    )
    assert (found.time_to_recover, put_back) == (None, [])


def test_nothing_is_put_back_before_all_is_broken() -> None:
    moments = iter([None, None, None, 0.0])
    looks, put_back = list[int](), list[int]()

    def look() -> Snapshot:
        looks.append(1)
        return seen(7)

    found = watch_recovery(
        look,
        Watch(seen(7), put_back=True),
        began=time.monotonic(),
        timeout=60.0,
        hold=0.0,
        broken_at=lambda: next(moments, 0.0),
        restore=lambda: put_back.append(len(looks)),
        stopped=lambda: False,
    )
    assert (put_back, found.healed_by) == ([3], ("drill",))
