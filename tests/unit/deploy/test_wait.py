"""How often an environment is looked at while it gets healthy, and what counts as a change."""

from __future__ import annotations

from samovar.deploy.wait import MAX_PAUSE, MIN_PAUSE, Changes

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
