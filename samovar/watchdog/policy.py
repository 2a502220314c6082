"""Decides what to do about an observation. Pure: the caller passes the time and the random numbers.

`unready` is for the balancer: the application does not answer. `dead` is for the group, which then replaces the
machine: not because the application is unavailable for a moment, but because it does not come back by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto

Range = tuple[float, float]


class Ping(Enum):
    """The result of a request: a good answer; an error; no connection, or a broken one; no answer in time.

    What takes no requests is OK once it has lasted, and UNREACHABLE before; UP where it runs for the first time and did
    not end at once: it is well for as long as that run goes on.
    """

    OK = auto()
    UP = auto()
    ERROR = auto()
    UNREACHABLE = auto()
    TIMEOUT = auto()


class Cause(StrEnum):
    """The causes for which the watchdog ends a run of the application, as its metrics name them."""

    ERRORS = "errors"
    SILENCE = "silence"
    MEMORY = "memory"
    LIFETIME = "lifetime"


@dataclass(frozen=True)
class Limits:
    """The limits: seconds, bytes of `memory` of all processes of the application, free shares of the disk.

    `errors` and `lifetime` are ranges: a random value of each keeps machines apart that were started together. Without
    a `lifetime` a run lasts until it fails. A run that was not well yet has `start` seconds in which it may answer
    errors, or nothing. A machine whose application was up before is dead after `dead_after`, one where it was never up
    after `never_well` to twice as long: then the fault is most likely everywhere, on a new machine too. So many
    `failures` in a row of what runs by a schedule make the machine unready. A run that has been well is `settled` after
    so long: until then Prometheus has seen systemd's count of restarts. To `postpone` a renewal holds requests for a
    moment: it takes twice as long each time, from the first to the last. `symptom` is how one that is not well shows,
    for messages.
    """

    symptom: str
    memory: int
    hold: float
    errors: Range
    silent: float
    start: float
    lifetime: Range | None
    dead_after: float
    never_well: float
    failures: int
    postpone: tuple[float, float] = 5.0, 300.0
    settled: float = 10.0
    low: float = 0.15
    full: float = 0.05
    full_for: float = 5.0


@dataclass(frozen=True)
class Observation:
    """The results of the probes at `at` (monotonic); `jitter` is a new random number from 0 to 1.

    `run` is another number in each run of the application, 0 where it does not run. `failures` are the runs by a
    schedule that failed in a row.
    """

    at: float
    ping: Ping
    run: int = 0
    memory: int = 0
    free: float = 1.0
    jitter: float = 0.5
    failures: int = 0


@dataclass(frozen=True)
class State:
    """The state between observations. `ran`: the application was up on this machine, perhaps before `started`.

    `last_ok` is the time of its last good answer since then. `failed_start`: a run has ended since that was never well.
    Of the present `run` are the time at which it began (`run_since`), whether it was well once, when it is to be
    renewed (`due`), and for how long that was `postponed` last.
    """

    started: float
    ran: bool
    dead_after: float
    run_since: float
    run: int = 0
    well: bool = False
    settled: bool = False
    last_ok: float | None = None
    failed_start: bool = False
    full_since: float | None = None
    due: float | None = None
    postponed: float = 0.0
    bad_until: float | None = None
    silent_since: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The decision. `hold`: the proxy holds requests for now; `tidy`: old logs are removed. An empty text is no reason.

    `kill` is the reason to kill the application, `stop` that to stop it as it wishes, both now; `renew` the reason to
    stop it when no request is in flight. `cause` is the kind of that reason, where there is one. `recovered`: this run
    of the application has settled just now.
    """

    hold: bool = False
    kill: str = ""
    stop: str = ""
    renew: str = ""
    tidy: bool = False
    dead: str = ""
    unready: str = ""
    cause: Cause | None = None
    recovered: bool = False


def initial_state(at: float, limits: Limits, *, ran: bool, jitter: float) -> State:
    """Return the state before the first observation."""
    return State(
        started=at, ran=ran, dead_after=limits.dead_after if ran else limits.never_well * (1 + jitter), run_since=at
    )


def decide(state: State, now: Observation, limits: Limits) -> tuple[State, Verdict]:
    """Return the new state and the verdict."""
    state = _update_run(_update_disk(state, now, limits), now, limits)
    recovered = not state.settled and state.well and now.at - state.run_since >= limits.settled
    kill, stop = _kill(state, now, limits), _stop(now, limits)
    renew = not (kill or stop) and state.due is not None and now.at >= state.due
    verdict = Verdict(
        hold=now.ping is Ping.ERROR,
        kill=kill,
        stop="" if kill else stop,
        renew="it ran long enough" if renew else "",
        tidy=now.free < limits.low,
        dead=_dead(state, now, limits),
        unready=_unready(state, now, limits),
        cause=_cause(now.ping, kill=bool(kill), stop=bool(stop), renew=renew),
        recovered=recovered,
    )
    if kill or stop:
        state = _forget(state)
    if renew:
        state = _postpone(state, now, limits)
    return replace(state, settled=state.settled or recovered), verdict


def _update_disk(state: State, now: Observation, limits: Limits) -> State:
    """Record since when the disk is full, in spite of what is removed."""
    if now.free >= limits.full:
        return replace(state, full_since=None)
    return state if state.full_since is not None else replace(state, full_since=now.at)


def _update_run(state: State, now: Observation, limits: Limits) -> State:
    if now.run != state.run:
        failed = state.failed_start or (state.run != 0 and not state.well)
        state = replace(_forget(state), run=now.run, run_since=now.at, well=False, settled=False, failed_start=failed)
    match now.ping:
        case Ping.OK:
            return replace(
                _forget(state),
                well=True,
                last_ok=now.at,
                failed_start=False,
                ran=True,
                dead_after=limits.dead_after,
                due=_due(now, limits) if state.due is None else state.due,
                postponed=state.postponed,
            )
        case Ping.ERROR | Ping.TIMEOUT if _starts(state, now, limits):
            return _forget(state)
        case Ping.ERROR if state.bad_until is None:
            return replace(state, bad_until=now.at + _random_in(limits.errors, now.jitter))
        case Ping.TIMEOUT if state.silent_since is None:
            return replace(state, silent_since=now.at)
        case Ping.UP | Ping.UNREACHABLE:
            return _forget(state)
    return state


def _kill(state: State, now: Observation, limits: Limits) -> str:
    """Return why to kill it. Errors and silence do not excuse each other: one under load may show both by turns."""
    if now.ping is Ping.ERROR and state.bad_until is not None and now.at >= state.bad_until:
        return "it answers errors"
    if now.ping is Ping.TIMEOUT and state.silent_since is not None and now.at - state.silent_since >= limits.silent:
        return f"it has not answered for {now.at - state.silent_since:.0f} s"
    return ""


def _stop(now: Observation, limits: Limits) -> str:
    return f"it has {now.memory >> 20} MiB of memory, over {limits.memory >> 20}" if now.memory > limits.memory else ""


def _cause(ping: Ping, *, kill: bool, stop: bool, renew: bool) -> Cause | None:
    if kill:
        return Cause.ERRORS if ping is Ping.ERROR else Cause.SILENCE
    if stop:
        return Cause.MEMORY
    return Cause.LIFETIME if renew else None


def _starts(state: State, now: Observation, limits: Limits) -> bool:
    return not state.well and now.at - state.run_since < limits.start


def _dead(state: State, now: Observation, limits: Limits) -> str:
    """Return why the machine is dead. It is not while the first run after a good one has time to start."""
    first = now.run != 0 and not state.failed_start and _starts(state, now, limits)
    if not first and (silence := _silence(state, now)) > state.dead_after:
        return f"{limits.symptom} for {silence:.0f} s"
    if state.full_since is not None and now.at - state.full_since >= limits.full_for:
        return f"the disk is full: {now.free:.0%} are free, and no logs are left to remove"
    return ""


def _unready(state: State, now: Observation, limits: Limits) -> str:
    if now.failures >= limits.failures:
        return f"{limits.symptom}: {now.failures} runs in a row failed"
    silence = _silence(state, now)
    well = now.ping is Ping.UP or (state.last_ok is not None and silence <= limits.hold)
    return "" if well else f"{limits.symptom} for {silence:.0f} s"


def _silence(state: State, now: Observation) -> float:
    return now.at - (state.started if state.last_ok is None else state.last_ok)


def _forget(state: State) -> State:
    """Forget what is wrong with a run, and when it is due."""
    return replace(state, due=None, postponed=0.0, bad_until=None, silent_since=None)


def _postpone(state: State, now: Observation, limits: Limits) -> State:
    first, last = limits.postpone
    seconds = min(max(first, 2 * state.postponed), last)
    return replace(state, due=now.at + seconds, postponed=seconds)


def _due(now: Observation, limits: Limits) -> float | None:
    return now.at + _random_in(limits.lifetime, now.jitter) if limits.lifetime else None


def _random_in(between: Range, jitter: float) -> float:
    low, high = between
    return low + jitter * (high - low)
