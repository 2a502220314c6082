"""What the watchdog of a bingo node makes of what it sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from images.bingo.watchdog.judge import Limits, Ping, Sight, State, Verdict, begin, judge

LIMITS = Limits(memory=100 << 20)
WELL, BAD, GONE, SILENT = Ping.WELL, Ping.BAD, Ping.GONE, Ping.SILENT


def seen(
    *sights: tuple[float, Ping], state: State | None = None, limits: Limits = LIMITS, dice: float = 0.5
) -> Verdict:
    """The last verdict on pings at those times."""
    state = state or begin(0, limits, ran=False, dice=dice)
    verdict = Verdict()
    for at, ping in sights:
        state, verdict = judge(state, Sight(at, ping, dice=dice), limits)
    return verdict


def test_a_bingo_that_is_well_is_left_alone() -> None:
    assert seen((1, WELL), (2, WELL)) == Verdict()


def test_one_that_was_never_up_is_alive_for_the_group_and_not_ready() -> None:
    verdict = seen((1, GONE), (60, GONE))
    assert verdict.unready == "bingo has not answered for 60 s"
    assert verdict == Verdict(unready=verdict.unready)


@pytest.mark.parametrize(("ping", "unready"), [(GONE, True), (BAD, True), (SILENT, True), (WELL, False)])
def test_the_balancer_hears_of_one_that_is_gone_for_longer_than_requests_are_held(ping: Ping, *, unready: bool) -> None:
    assert seen((1, WELL), (8.9, ping)).unready == ""
    assert bool(seen((1, WELL), (9.5, ping)).unready) is unready


def test_bad_answers_hold_requests_at_once_and_end_bingo_after_a_second_or_two() -> None:
    first = seen((1, WELL), (2, BAD))
    assert first.hold
    assert not first.end
    assert not seen((1, WELL), (2, BAD), (3.4, BAD)).end
    assert seen((1, WELL), (2, BAD), (3.5, BAD)).end == "it answers, and is not well"
    assert seen((2, BAD), (3, BAD), dice=0).end
    assert not seen((2, BAD), (3.9, BAD), dice=1).end


def test_a_bad_moment_that_passes_is_forgotten() -> None:
    assert not seen((1, WELL), (2, BAD), (3, WELL), (4, BAD)).end
    assert not seen((1, WELL), (2, BAD), (3, GONE), (4, BAD)).end


def test_silence_is_borne_for_longer() -> None:
    assert not seen((1, WELL), (2, SILENT), (11, SILENT)).end
    assert seen((1, WELL), (2, SILENT), (12, SILENT)).end == "it has not answered for 10 s"


def test_too_much_memory_ends_bingo_before_the_kernel_does() -> None:
    state = begin(0, LIMITS, ran=True, dice=0)
    assert judge(state, Sight(1, WELL, memory=101 << 20), LIMITS)[1].end == "it has 101 MiB of memory, over 100"
    assert not judge(state, Sight(1, WELL, memory=100 << 20), LIMITS)[1].end


def test_each_run_has_a_time_of_its_own_and_is_asked_again_while_it_is_busy() -> None:
    state = begin(0, LIMITS, ran=False, dice=0)
    state, _ = judge(state, Sight(10, WELL, dice=0.5), LIMITS)
    assert not judge(state, Sight(849, WELL), LIMITS)[1].renew
    state, verdict = judge(state, Sight(850, WELL), LIMITS)
    assert verdict.renew
    assert not verdict.end
    state, verdict = judge(state, Sight(851, WELL), LIMITS)
    assert not verdict.renew
    state, verdict = judge(state, Sight(855, WELL), LIMITS)
    assert verdict.renew
    state, _ = judge(state, Sight(856, GONE), LIMITS)
    state, _ = judge(state, Sight(860, WELL, dice=0), LIMITS)
    assert state.due == 860 + 480


def test_siblings_drift_apart() -> None:
    due = {judge(begin(0, LIMITS, ran=False, dice=0), Sight(1, WELL, dice=dice), LIMITS)[0].due for dice in (0.2, 0.3)}
    assert max(filter(None, due)) - min(filter(None, due)) > 60


def test_without_a_lifetime_bingo_runs_until_it_fails() -> None:
    limits = replace(LIMITS, lifetime=None)
    assert seen((1, WELL), (1e6, WELL), limits=limits) == Verdict()


def test_the_group_hears_of_a_bingo_that_does_not_come_back() -> None:
    assert not seen((1, WELL), (30, GONE)).dead
    assert seen((1, WELL), (32, GONE)).dead == "bingo has not answered for 31 s"
    assert seen((1, WELL), (32, GONE), (33, WELL)).dead == ""


def test_the_group_is_not_told_to_make_machines_anew_one_after_another() -> None:
    """Where bingo never was up another machine would hardly help: it waits for minutes, each machine for others."""
    assert not seen((1, GONE), (300, GONE), dice=0).dead
    assert seen((1, GONE), (301, GONE), dice=0).dead
    assert not seen((1, GONE), (599, GONE), dice=1).dead
    assert seen((1, GONE), (601, GONE), dice=1).dead


def test_a_watchdog_that_starts_again_knows_that_bingo_was_up_here() -> None:
    known = begin(0, LIMITS, ran=True, dice=0.5)
    assert seen((31, GONE), state=known).dead
    assert seen((1, GONE), state=known).unready


def test_a_disk_that_fills_costs_logs_first_and_the_machine_last() -> None:
    state = begin(0, LIMITS, ran=True, dice=0)
    for at, free, tidy, dead in (
        (1, 0.14, True, False),
        (2, 0.04, True, False),
        (6, 0.04, True, False),
        (7, 0.04, True, True),
        (8, 0.5, False, False),
        (9, 0.04, True, False),
    ):
        state, verdict = judge(state, Sight(at, WELL, free=free), LIMITS)
        assert (verdict.tidy, bool(verdict.dead)) == (tidy, dead), at
        assert not verdict.unready
