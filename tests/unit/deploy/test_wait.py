"""The wait for health: the pauses between looks, the changes that count, and the messages meanwhile."""

from __future__ import annotations

from dataclasses import replace

from samovar.deploy.status import RUNNING, GroupStatus, MachineStatus
from samovar.deploy.wait import LASTING, MAX_PAUSE, MIN_PAUSE, Changes, CommonProblems

CALLS = 20
"""Calls of one look at three groups."""


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def _looks(every: float, changes: int) -> tuple[int, float]:
    """The looks that are taken while a change comes every so many seconds, and the longest time one is not seen."""
    clock, looks, late = Clock(), 0, 0.0
    watched = Changes(clock)
    observed = 0
    while observed < changes:
        happened = min(int(clock.seconds / every), changes)
        if happened > observed:
            late = max(late, clock.seconds - (observed + 1) * every)
        observed = happened
        watched.see([("machine", str(number)) for number in range(happened)])
        looks += 1
        clock.seconds += watched.pause()
    return looks, late


def test_slow_changes_cost_a_few_calls_a_second() -> None:
    looks, late = _looks(every=30.0, changes=20)
    assert looks * CALLS / (20 * 30.0) < 6
    assert late <= MAX_PAUSE


def test_fast_changes_are_observed_at_once() -> None:
    _, late = _looks(every=0.5, changes=20)
    assert late <= MIN_PAUSE + 0.01


def test_a_state_that_was_observed_before_is_no_change() -> None:
    """Machines that are made anew over and over do not keep a rollout waiting for ever."""
    watched = Changes(Clock())
    for status in ("CREATING_INSTANCE", "CHECKING_HEALTH", "DELETING_INSTANCE") * 3:
        watched.see([("nginx", "dev-nginx-1", status)])
    assert watched.count == 3


CRASHES = "shop has not stayed up for {} s: it was started again {} times; it printed last: no settings"


def group_with_messages(*messages: str | None) -> GroupStatus:
    machines = [
        MachineStatus(f"dev-shop-{number}", "a", "10.30.0.3", "CHECKING_HEALTH", "image", None, message=message)
        for number, message in enumerate(messages, start=1)
    ]
    return GroupStatus("shop", len(machines), "image", tuple(machines))


def printed(*looks: tuple[float, GroupStatus]) -> list[str]:
    """Return the messages about a group; each look comes so many seconds after the one before."""
    clock = Clock()
    problems, texts = CommonProblems("dev", clock), list[str]()
    for seconds, group in looks:
        clock.seconds += seconds
        texts += problems.see([group])
    return texts


def test_a_lasting_fault_of_all_machines_is_printed_once_and_another_one_again() -> None:
    first = group_with_messages(CRASHES.format(15, 12), CRASHES.format(16, 13))
    later = group_with_messages(CRASHES.format(45, 29), CRASHES.format(46, 31))
    other = group_with_messages(
        *2 * ["shop has not stayed up for 99 s: it was started again 40 times; it printed last: no disk"]
    )
    assert printed((0, first), (LASTING - 1, later)) == []
    (text,) = printed((0, first), (LASTING, later), (LASTING, later))
    crashes = "shop: it was started again 29 times; it printed last: no settings"
    assert text.splitlines()[0] == f"  shop: all new machines say the same for 30 s: {crashes}"
    assert text.splitlines()[1].startswith("  remedy: see `samovar logs dev dev-shop-1`; unless it waits for what")
    _, second = printed((0, first), (LASTING, later), (1, other), (LASTING, other))
    assert "it printed last: no disk" in second


def test_any_message_that_does_not_change_is_printed_once() -> None:
    broken = group_with_messages(*2 * ["cannot configure this machine: api.j2:3: there is no settings.prot"])
    (text,) = printed((0, broken), (LASTING, broken), (LASTING, broken))
    assert "cannot configure this machine: api.j2:3: there is no settings.prot" in text
    assert "samovar logs dev dev-shop-1" in text


def test_the_machines_that_an_update_replaces_are_not_asked() -> None:
    group = group_with_messages(None, "role shop: configured", CRASHES.format(45, 29))
    former, outdated, new = group.machines
    machines = (replace(former, image="former", status=RUNNING), replace(outdated, status="RUNNING_OUTDATED"), new)
    update = replace(group, machines=machines)
    (text,) = printed((0, update), (LASTING, update))
    assert "samovar logs dev dev-shop-3" in text
    well = replace(update, machines=(*machines, replace(new, name="dev-shop-4", status=RUNNING, message=None)))
    assert printed((0, well), (LASTING, well)) == []


def test_faults_of_one_machine_progress_and_other_messages_are_not_printed() -> None:
    crashes = CRASHES.format(45, 29)
    for group in (
        group_with_messages(crashes, None),
        group_with_messages(crashes, "shop has not stayed up for 45 s: it printed last: another problem"),
        group_with_messages(None, None),
    ):
        assert printed((0, group), (10 * LASTING, group)) == []
    seeding = [group_with_messages(f"seeding the data disk for dev-stores, {size}G so far") for size in (3, 4)]
    assert printed((0, seeding[0]), (LASTING, seeding[1])) == []
    starting = [
        group_with_messages(f"shop has not answered for 9 s: it printed last: {step}") for step in ("read", "sorted")
    ]
    assert printed((0, starting[0]), (LASTING, starting[1]), (LASTING - 1, starting[1])) == []
