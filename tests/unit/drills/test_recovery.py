"""The recovery of an environment, and what healed it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import create_autospec

from samovar.cloud.local_admin import Host, HostMachine
from samovar.drills.recovery import STABLE_SECONDS, Recovery, Snapshot, Watch, _processes, watch_recovery


def snapshot_of(*pids: int, healthy: bool = True, machines: Sequence[str] = ("a",), drained: bool = False) -> Snapshot:
    processes = frozenset(("dev-app-1", pid) for pid in pids)
    return Snapshot(healthy, processes, frozenset(machines), frozenset(machines), drained)


def watched(watch: Watch, *snapshots: Snapshot, every: float = 1.0) -> Recovery:
    for number, snapshot in enumerate(snapshots):
        watch.see(snapshot, number * every)
    return watch.recovery()


def test_an_environment_has_recovered_once_its_new_processes_have_lasted() -> None:
    watch = Watch(snapshot_of(7))
    watch.see(snapshot_of(7), 0.0)
    assert watch.recovered_at is None, "nothing was lost yet"
    watch.see(snapshot_of(8), 1.0)
    watch.see(snapshot_of(9), 1.0 + STABLE_SECONDS)
    assert not watch.stable(1.0 + STABLE_SECONDS), "another process since"
    watch.see(snapshot_of(9, healthy=False), 2.0 + STABLE_SECONDS)
    watch.see(snapshot_of(9), 3.0 + STABLE_SECONDS)
    assert not watch.stable(2.9 + 2 * STABLE_SECONDS)
    assert watch.stable(3.0 + 2 * STABLE_SECONDS)
    assert watch.recovery().time_to_recover == 3.0 + STABLE_SECONDS


def test_an_undetected_loss_is_no_recovery() -> None:
    assert watched(Watch(snapshot_of()), snapshot_of(), snapshot_of(), snapshot_of()).time_to_recover is None


def test_a_fault_that_is_put_back_need_not_be_noticed() -> None:
    watch = Watch(snapshot_of(7), put_back=True)
    assert watched(watch, snapshot_of(7), snapshot_of(7)).time_to_recover is None, "it is broken still"
    watch.restored_at = 2.0
    watch.see(snapshot_of(7), 2.5)
    recovery = watch.recovery()
    assert (recovery.time_to_detect, recovery.time_to_put_back, recovery.time_to_recover) == (None, 2.0, 2.5)


def test_systemd_healed_a_process_that_died() -> None:
    assert watched(Watch(snapshot_of(7)), snapshot_of(healthy=False), snapshot_of(8)).healed_by == ("systemd",)


def test_a_watchdog_healed_a_sick_process() -> None:
    assert watched(
        Watch(snapshot_of(7)), snapshot_of(7, healthy=False), snapshot_of(healthy=False), snapshot_of(8)
    ).healed_by == ("watchdog",)


def test_a_group_healed_a_machine_that_was_replaced() -> None:
    lost = snapshot_of(healthy=False, machines=(), drained=True)
    recovery = watched(Watch(snapshot_of(7)), lost, snapshot_of(9, machines=("b",)))
    assert (recovery.healed_by, recovery.time_to_detect, recovery.time_to_recover) == (("balancer", "group"), 0.0, 1.0)


def test_a_group_healed_a_machine_that_was_replaced_by_one_of_another_name() -> None:
    before = Snapshot(healthy=True, targets=frozenset("a"), instances=frozenset("ab"))
    before = replace(before, processes=frozenset({("dev-app-1", 7)}))
    sick = replace(before, healthy=False)
    restarted = replace(sick, processes=frozenset({("dev-app-1", 8)}))
    replaced = Snapshot(healthy=True, instances=frozenset("bc"))
    recovery = watched(Watch(before), sick, restarted, replaced)
    assert (recovery.healed_by, recovery.time_to_recover) == (("group",), 2.0)


def test_a_group_healed_a_machine_that_it_started_again() -> None:
    restarted = Snapshot(healthy=False, targets=frozenset("a"), instances=frozenset("a"), restarted=True)
    recovery = watched(Watch(snapshot_of(7)), snapshot_of(healthy=False), restarted, snapshot_of(9))
    assert (recovery.healed_by, recovery.time_to_recover) == (("group",), 2.0)


def test_a_watch_ends_at_its_timeout() -> None:
    put_back = list[bool]()
    recovery = watch_recovery(
        lambda: snapshot_of(7, healthy=False),
        Watch(snapshot_of(7), put_back=True),
        began=0.0,
        timeout=0.0,
        hold=0.0,
        broken_at=lambda: 0.0,
        restore=lambda: put_back.append(True),
        stopped=lambda: False,
    )
    assert (recovery.time_to_recover, put_back) == (None, [])


def test_no_fault_is_put_back_before_all_were_caused() -> None:
    moments = iter([None, None, None, 0.0])
    looks, put_back = list[int](), list[int]()

    def look() -> Snapshot:
        looks.append(1)
        return snapshot_of(7)

    recovery = watch_recovery(
        look,
        Watch(snapshot_of(7), put_back=True),
        began=time.monotonic(),
        timeout=60.0,
        hold=0.0,
        broken_at=lambda: next(moments, 0.0),
        restore=lambda: put_back.append(len(looks)),
        stopped=lambda: False,
    )
    assert (put_back, recovery.healed_by) == ([3], ("drill",))


def test_a_machine_that_was_replaced_by_one_of_another_name_lacks_no_process() -> None:
    host = create_autospec(Host, instance=True)
    host.machines.return_value = (HostMachine("b", "dev-app-2", "app-2", 9, running=True),)
    host.processes.return_value = (7,)
    units = frozenset({("dev-app-1", "app.service"), ("dev-app-2", "app.service")})
    assert _processes(host, units) == {("dev-app-2", "app.service"): (7,)}
