"""The decisions of the watchdog of an application."""

from __future__ import annotations

from dataclasses import replace

import pytest

from samovar.watchdog.policy import Cause, Limits, Observation, Ping, State, Verdict, decide, initial_state

LIMITS = Limits(
    symptom="shop has not answered",
    memory=100 << 20,
    hold=8,
    errors=(1, 2),
    silent=10,
    start=0,
    lifetime=(480, 1200),
    dead_after=30,
    never_well=300,
    failures=3,
)
PATIENT = replace(LIMITS, start=60)
OK, UP, ERROR, UNREACHABLE, TIMEOUT = Ping.OK, Ping.UP, Ping.ERROR, Ping.UNREACHABLE, Ping.TIMEOUT


def last_verdict(
    *pings: tuple[float, Ping], state: State | None = None, limits: Limits = LIMITS, jitter: float = 0.5
) -> Verdict:
    """Return the last verdict on pings at those times."""
    state = state or initial_state(0, limits, ran=False, jitter=jitter)
    verdict = Verdict()
    for at, ping in pings:
        state, verdict = decide(state, Observation(at, ping, jitter=jitter), limits)
    return verdict


def test_a_healthy_application_is_left_alone() -> None:
    assert last_verdict((1, OK), (2, OK)) == Verdict()


def test_each_run_recovers_once_it_has_been_well_and_lasted() -> None:
    """Also one that died and came back between two looks. One that is never well does not."""
    state = initial_state(0, LIMITS, ran=True, jitter=0)
    for at, ping, run, recovers in (
        (1, OK, 7, False),
        (10.9, OK, 7, False),
        (11, OK, 7, True),
        (12, OK, 7, False),
        (13, ERROR, 7, False),
        (14, OK, 7, False),
        (15, OK, 8, False),
        (25, UNREACHABLE, 8, True),
        (26, UNREACHABLE, 0, False),
        (27, UNREACHABLE, 9, False),
        (40, ERROR, 9, False),
        (41, OK, 9, True),
    ):
        state, verdict = decide(state, Observation(at, ping, run=run), LIMITS)
        assert verdict.recovered is recovers, at


def test_a_application_that_was_never_up_is_alive_and_not_ready() -> None:
    verdict = last_verdict((1, UNREACHABLE), (60, UNREACHABLE))
    assert verdict.unready == "shop has not answered for 60 s"
    assert verdict == Verdict(unready=verdict.unready)


@pytest.mark.parametrize(("ping", "unready"), [(UNREACHABLE, True), (ERROR, True), (TIMEOUT, True), (OK, False)])
def test_unready_after_requests_can_no_longer_be_held(ping: Ping, *, unready: bool) -> None:
    assert last_verdict((1, OK), (8.9, ping)).unready == ""
    assert bool(last_verdict((1, OK), (9.5, ping)).unready) is unready


def test_an_application_that_has_not_lasted_is_ready_while_it_runs() -> None:
    """It is not known to have been well: neither is its silence held, nor its machine given up sooner."""
    assert last_verdict((1, UNREACHABLE), (2, UP)).unready == ""
    assert last_verdict((2, UP), (3, UNREACHABLE)).unready == "shop has not answered for 3 s"
    assert last_verdict((2, UP), (299, UNREACHABLE), jitter=0).dead == ""
    assert last_verdict((2, UP), (15, OK), (24, UNREACHABLE), (25, UP)).unready == ""


def test_errors_hold_requests_at_once_and_end_application_later() -> None:
    first = last_verdict((1, OK), (2, ERROR))
    assert first.hold
    assert not first.kill
    assert not last_verdict((1, OK), (2, ERROR), (3.4, ERROR)).kill
    assert last_verdict((1, OK), (2, ERROR), (3.5, ERROR)).kill == "it answers errors"
    assert last_verdict((2, ERROR), (3, ERROR), jitter=0).kill
    assert not last_verdict((2, ERROR), (3.9, ERROR), jitter=1).kill


def test_a_short_error_is_forgotten() -> None:
    assert not last_verdict((1, OK), (2, ERROR), (3, OK), (4, ERROR)).kill
    assert not last_verdict((1, OK), (2, ERROR), (3, UNREACHABLE), (4, ERROR)).kill


def test_a_timeout_ends_application_after_ten_seconds() -> None:
    assert not last_verdict((1, OK), (2, TIMEOUT), (11, TIMEOUT)).kill
    assert last_verdict((1, OK), (2, TIMEOUT), (12, TIMEOUT)).kill == "it has not answered for 10 s"


def test_errors_and_silence_by_turns_end_application() -> None:
    assert last_verdict((1, OK), (2, ERROR), (3, TIMEOUT), (4, ERROR)).kill == "it answers errors"
    assert last_verdict((1, OK), (2, ERROR), (3, TIMEOUT), (4, ERROR)).cause is Cause.ERRORS
    assert not last_verdict((1, OK), (2, ERROR), (4, TIMEOUT)).kill
    assert last_verdict((1, OK), (2, TIMEOUT), (3, ERROR), (12, TIMEOUT)).cause is Cause.SILENCE
    assert not last_verdict((1, OK), (2, ERROR), (3, TIMEOUT), (4, OK), (5, ERROR)).kill


def test_a_run_that_was_not_well_yet_may_answer_errors_or_nothing_for_a_while() -> None:
    for ping in (ERROR, TIMEOUT):
        assert last_verdict((1, ping), (59, ping), limits=PATIENT).kill == ""
        assert last_verdict((1, ping), (61, ping), (72, ping), limits=PATIENT).kill
        assert last_verdict((1, OK), (2, ping), (13, ping), limits=PATIENT).kill
    assert last_verdict((1, ERROR), limits=PATIENT).hold


def test_each_run_may_take_its_time_to_start() -> None:
    state = initial_state(0, PATIENT, ran=True, jitter=0)
    for at, ping, run, kills in (
        (1, OK, 7, False),
        (2, ERROR, 8, False),
        (50, ERROR, 8, False),
        (63, ERROR, 8, False),
        (66, ERROR, 8, True),
    ):
        state, verdict = decide(state, Observation(at, ping, run=run), PATIENT)
        assert bool(verdict.kill) is kills, at


Looks = list[tuple[float, Ping, int]]


@pytest.mark.parametrize(
    ("looks", "dead_from"),
    [
        ([(2, UNREACHABLE, 8), (40, ERROR, 8), (61, TIMEOUT, 8), (62, ERROR, 8)], 62),
        ([(2, UNREACHABLE, 0), (3, UNREACHABLE, 8), (40, UNREACHABLE, 8), (64, UNREACHABLE, 8)], 64),
        ([(20, TIMEOUT, 7), (21, ERROR, 8), (40, ERROR, 8), (60, OK, 8), (61, ERROR, 9), (100, ERROR, 9)], None),
        ([(2, UNREACHABLE, 0), (30, UNREACHABLE, 0), (32, UNREACHABLE, 0)], 32),
        ([(2, ERROR, 8), (5, UNREACHABLE, 0), (6, ERROR, 9), (30, ERROR, 9), (32, ERROR, 9)], 32),
        ([(2, ERROR, 8), (6, ERROR, 9), (32, ERROR, 9)], 32),
    ],
    ids=["never well", "late port", "well in time", "does not run", "ends and starts again", "between two looks"],
)
def test_a_machine_is_not_dead_while_the_first_run_after_a_good_one_starts(
    looks: Looks, dead_from: float | None
) -> None:
    state, _ = decide(initial_state(0, PATIENT, ran=True, jitter=0), Observation(1, OK, run=7), PATIENT)
    dead = []
    for at, ping, run in looks:
        state, verdict = decide(state, Observation(at, ping, run=run), PATIENT)
        dead += [at] if verdict.dead else []
    assert min(dead, default=None) == dead_from


def test_another_run_is_renewed_at_a_time_of_its_own() -> None:
    state = initial_state(0, LIMITS, ran=True, jitter=0)
    state, _ = decide(state, Observation(10, OK, run=7), LIMITS)
    state, _ = decide(state, Observation(11, OK, run=8, jitter=0), LIMITS)
    assert state.due == 11 + 480


def test_too_much_memory_stops_application_before_the_kernel_does() -> None:
    state = initial_state(0, LIMITS, ran=True, jitter=0)
    assert decide(state, Observation(1, OK, memory=101 << 20), LIMITS)[1].stop == "it has 101 MiB of memory, over 100"
    assert not decide(state, Observation(1, OK, memory=100 << 20), LIMITS)[1].stop


def test_each_run_is_renewed_at_a_random_time_and_postponed_while_busy() -> None:
    state = initial_state(0, LIMITS, ran=False, jitter=0)
    state, _ = decide(state, Observation(10, OK, jitter=0.5), LIMITS)
    assert not decide(state, Observation(849, OK), LIMITS)[1].renew
    state, verdict = decide(state, Observation(850, OK), LIMITS)
    assert verdict.renew
    assert not verdict.kill
    state, verdict = decide(state, Observation(851, OK), LIMITS)
    assert not verdict.renew
    state, verdict = decide(state, Observation(855, OK), LIMITS)
    assert verdict.renew
    state, _ = decide(state, Observation(856, UNREACHABLE), LIMITS)
    state, _ = decide(state, Observation(860, OK, jitter=0), LIMITS)
    assert state.due == 860 + 480


def test_a_renewal_is_postponed_for_longer_and_longer_while_a_stream_goes_on() -> None:
    """Each try holds the requests of others for a moment."""
    state, at, tries = initial_state(0, LIMITS, ran=True, jitter=0), 0.0, []
    for _ in range(4000):
        state, verdict = decide(state, Observation(at, OK, run=7, jitter=0), LIMITS)
        tries += [at] if verdict.renew else []
        at += 0.5
    assert tries == [480, 485, 495, 515, 555, 635, 795, 1095, 1395, 1695, 1995]
    state, _ = decide(state, Observation(at, OK, run=8, jitter=0), LIMITS)
    assert state.postponed == 0


def test_each_end_of_a_run_has_its_cause() -> None:
    state = initial_state(0, LIMITS, ran=True, jitter=0)
    assert last_verdict((1, OK), (2, ERROR), (3.5, ERROR)).cause is Cause.ERRORS
    assert last_verdict((1, OK), (2, TIMEOUT), (12, TIMEOUT)).cause is Cause.SILENCE
    assert decide(state, Observation(1, OK, memory=101 << 20), LIMITS)[1].cause is Cause.MEMORY
    assert last_verdict((10, OK), (850, OK)).cause is Cause.LIFETIME
    assert last_verdict((1, OK), (2, ERROR)).cause is None


def test_jitter_keeps_machines_apart() -> None:
    due = {
        decide(initial_state(0, LIMITS, ran=False, jitter=0), Observation(1, OK, jitter=jitter), LIMITS)[0].due
        for jitter in (0.2, 0.3)
    }
    assert max(filter(None, due)) - min(filter(None, due)) > 60


def test_without_a_lifetime_application_runs_until_it_fails() -> None:
    limits = replace(LIMITS, lifetime=None)
    assert last_verdict((1, OK), (20, OK), (1e6, OK), limits=limits) == Verdict()


def test_dead_after_application_does_not_come_back() -> None:
    assert not last_verdict((1, OK), (30, UNREACHABLE)).dead
    assert last_verdict((1, OK), (32, UNREACHABLE)).dead == "shop has not answered for 31 s"
    assert last_verdict((1, OK), (32, UNREACHABLE), (33, OK)).dead == ""


def test_dead_much_later_where_application_never_was_up() -> None:
    """Another machine would hardly help one that never was up: it waits for minutes, each machine for others."""
    assert not last_verdict((1, UNREACHABLE), (300, UNREACHABLE), jitter=0).dead
    assert last_verdict((1, UNREACHABLE), (301, UNREACHABLE), jitter=0).dead
    assert not last_verdict((1, UNREACHABLE), (599, UNREACHABLE), jitter=1).dead
    assert last_verdict((1, UNREACHABLE), (601, UNREACHABLE), jitter=1).dead


def test_a_restarted_watchdog_knows_that_application_was_up() -> None:
    state = initial_state(0, LIMITS, ran=True, jitter=0.5)
    assert last_verdict((31, UNREACHABLE), state=state).dead
    assert last_verdict((1, UNREACHABLE), state=state).unready


def test_a_full_disk_removes_logs_first_and_is_dead_last() -> None:
    state = initial_state(0, LIMITS, ran=True, jitter=0)
    for at, free, tidy, dead in (
        (1, 0.14, True, False),
        (2, 0.04, True, False),
        (6, 0.04, True, False),
        (7, 0.04, True, True),
        (8, 0.5, False, False),
        (9, 0.04, True, False),
    ):
        state, verdict = decide(state, Observation(at, OK, free=free), LIMITS)
        assert (verdict.tidy, bool(verdict.dead)) == (tidy, dead), at
        assert not verdict.unready


def test_a_machine_is_unready_once_runs_fail_again_and_again() -> None:
    limits, state = replace(LIMITS, symptom="report has not succeeded"), initial_state(0, LIMITS, ran=False, jitter=0)
    state, _ = decide(state, Observation(0, OK), limits)
    assert decide(state, Observation(1, OK, failures=2), limits)[1] == Verdict()
    unready = decide(state, Observation(1, OK, failures=3), limits)[1]
    assert unready == Verdict(unready="report has not succeeded: 3 runs in a row failed")
