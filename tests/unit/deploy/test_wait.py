"""How often an environment is looked at while it gets healthy, what counts as a change, and what is told meanwhile."""

from __future__ import annotations

from samovar.deploy.status import GroupStatus, MachineStatus
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
    known = 0
    while known < changes:
        happened = min(int(clock.seconds / every), changes)
        if happened > known:
            late = max(late, clock.seconds - (known + 1) * every)
        known = happened
        watched.see([("machine", str(number)) for number in range(happened)])
        looks += 1
        clock.seconds += watched.pause()
    return looks, late


def test_where_machines_take_minutes_a_few_calls_a_second_are_made() -> None:
    looks, late = _looks(every=30.0, changes=20)
    assert looks * CALLS / (20 * 30.0) < 6
    assert late <= MAX_PAUSE


def test_where_changes_come_fast_they_are_seen_at_once() -> None:
    _, late = _looks(every=0.5, changes=20)
    assert late <= MIN_PAUSE + 0.01


def test_what_was_seen_before_is_no_change() -> None:
    """Machines that are made anew over and over do not keep a rollout waiting for ever."""
    watched = Changes(Clock())
    for status in ("CREATING_INSTANCE", "CHECKING_HEALTH", "DELETING_INSTANCE") * 3:
        watched.see([("nginx", "dev-nginx-1", status)])
    assert watched.count == 3


CRASHES = "shop has not stayed up for {} s: it was started again {} times; it printed last: no settings"


def group_that_says(*messages: str | None) -> GroupStatus:
    machines = [
        MachineStatus(f"dev-shop-{number}", "a", "10.30.0.3", "CHECKING_HEALTH", "image", None, message=message)
        for number, message in enumerate(messages, start=1)
    ]
    return GroupStatus("shop", len(machines), "image", tuple(machines))


def told(*looks: tuple[float, GroupStatus]) -> list[str]:
    """What is told of a group that is seen so many seconds after the look before."""
    clock = Clock()
    problems, texts = CommonProblems("dev", clock), list[str]()
    for seconds, group in looks:
        clock.seconds += seconds
        texts += problems.see([group])
    return texts


def test_a_fault_that_all_machines_say_for_a_while_is_told_once_and_again_when_it_is_another() -> None:
    first = group_that_says(CRASHES.format(15, 12), CRASHES.format(16, 13))
    later = group_that_says(CRASHES.format(45, 29), CRASHES.format(46, 31))
    other = group_that_says(
        *2 * ["shop has not stayed up for 99 s: it was started again 40 times; it printed last: no disk"]
    )
    assert told((0, first), (LASTING - 1, later)) == []
    (text,) = told((0, first), (LASTING, later), (LASTING, later))
    crashes = "shop: it was started again 29 times; it printed last: no settings"
    assert text.splitlines()[0] == f"  shop: all machines say the same for 30 s: {crashes}"
    assert text.splitlines()[1].startswith("  remedy: see `samovar logs dev dev-shop-1`; unless it waits for what")
    _, second = told((0, first), (LASTING, later), (1, other), (LASTING, other))
    assert "it printed last: no disk" in second


def test_nothing_is_told_of_one_machine_alone_of_one_that_goes_on_or_of_what_is_no_application() -> None:
    crashes = CRASHES.format(45, 29)
    for group in (
        group_that_says(crashes, None),
        group_that_says(crashes, "shop has not stayed up for 45 s: it printed last: another problem"),
        group_that_says("seeding the data disk for dev-stores, 3G so far"),
        group_that_says("for the balancer this machine is not ready: shop has not answered for 40 s"),
    ):
        assert told((0, group), (10 * LASTING, group)) == []
    starting = [
        group_that_says(f"shop has not answered for 9 s: it printed last: {step}") for step in ("read", "sorted")
    ]
    assert told((0, starting[0]), (LASTING, starting[1]), (LASTING - 1, starting[1])) == []
