"""Decides what to do about an observation. Pure: the caller passes the time and the random numbers.

`unready` is for the balancer: bingo does not answer. `dead` is for the group, which then replaces the machine: not
because bingo is unavailable for a moment, nor because of the database, but because it does not come back by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

Range = tuple[float, float]


class Ping(Enum):
    """The result of a request to bingo: 200; another answer; no connection, or a broken one; no answer in time."""

    OK = auto()
    ERROR = auto()
    UNREACHABLE = auto()
    TIMEOUT = auto()


@dataclass(frozen=True)
class Limits:
    """The limits: seconds, bytes of `memory` of all of bingo's processes, free shares of the disk (`low`, `full`).

    `bad` and `lifetime` are ranges: a random value of each keeps machines apart that were started together. Without a
    `lifetime` bingo runs until it fails. A machine whose bingo was up before is dead after `gone`. One whose bingo was
    never up is dead after `never` to twice as long: then the fault is most likely everywhere, on a new machine too.
    """

    memory: int
    ready_after: float = 8.0
    bad: Range = (1.0, 2.0)
    silent: float = 10.0
    lifetime: Range | None = (480.0, 1200.0)
    postpone: float = 5.0
    gone: float = 30.0
    never: float = 300.0
    low: float = 0.15
    full: float = 0.05
    full_for: float = 5.0


@dataclass(frozen=True)
class Observation:
    """The results of the probes at `at` (monotonic); `jitter` is a new random number from 0 to 1."""

    at: float
    ping: Ping
    memory: int = 0
    free: float = 1.0
    jitter: float = 0.5


@dataclass(frozen=True)
class State:
    """The state between observations. `ran`: bingo was up on this machine, perhaps before `started`.

    `last_ok` is the time of its last good answer since then; `due` is when this run of bingo is to be renewed.
    """

    started: float
    ran: bool
    dead_after: float
    last_ok: float | None = None
    full_since: float | None = None
    due: float | None = None
    bad_until: float | None = None
    silent_since: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The decision. `hold`: the proxy holds requests for now; `tidy`: old logs are removed. An empty text is no reason.

    `end` is the reason to end bingo now, `renew` the reason to end it when no request is in flight.
    """

    hold: bool = False
    end: str = ""
    renew: str = ""
    tidy: bool = False
    dead: str = ""
    unready: str = ""


def initial_state(at: float, limits: Limits, *, ran: bool, jitter: float) -> State:
    """Return the state before the first observation."""
    return State(started=at, ran=ran, dead_after=limits.gone if ran else limits.never * (1 + jitter))


def decide(state: State, now: Observation, limits: Limits) -> tuple[State, Verdict]:
    """Return the new state and the verdict."""
    state = _update_bingo(_update_disk(state, now, limits), now, limits)
    end, low = _end(state, now, limits), now.free < limits.low
    renew = not end and state.due is not None and now.at >= state.due
    verdict = Verdict(
        hold=now.ping is Ping.ERROR,
        end=end,
        renew="it ran long enough" if renew else "",
        tidy=low,
        dead=_dead(state, now, limits),
        unready=_unready(state, now, limits),
    )
    if end:
        state = _reset_run(state)
    return replace(state, due=now.at + limits.postpone if renew else state.due), verdict


def _update_disk(state: State, now: Observation, limits: Limits) -> State:
    """Record since when the disk is full, in spite of what is removed."""
    if now.free >= limits.full:
        return replace(state, full_since=None)
    return state if state.full_since is not None else replace(state, full_since=now.at)


def _update_bingo(state: State, now: Observation, limits: Limits) -> State:
    match now.ping:
        case Ping.OK:
            due = _due(now, limits) if state.due is None else state.due
            return replace(_reset_run(state), last_ok=now.at, ran=True, dead_after=limits.gone, due=due)
        case Ping.ERROR if state.bad_until is None:
            return replace(state, bad_until=now.at + _random_in(limits.bad, now.jitter), silent_since=None)
        case Ping.TIMEOUT if state.silent_since is None:
            return replace(state, silent_since=now.at, bad_until=None)
        case Ping.UNREACHABLE:
            return _reset_run(state)
    return state


def _end(state: State, now: Observation, limits: Limits) -> str:
    if state.bad_until is not None and now.at >= state.bad_until:
        return "it answers errors"
    if state.silent_since is not None and now.at - state.silent_since >= limits.silent:
        return f"it has not answered for {now.at - state.silent_since:.0f} s"
    if now.memory > limits.memory:
        return f"it has {now.memory >> 20} MiB of memory, over {limits.memory >> 20}"
    return ""


def _dead(state: State, now: Observation, limits: Limits) -> str:
    if (silence := _silence(state, now)) > state.dead_after:
        return f"bingo has not answered for {silence:.0f} s"
    if state.full_since is not None and now.at - state.full_since >= limits.full_for:
        return f"the disk is full: {now.free:.0%} are free, and no logs are left to remove"
    return ""


def _unready(state: State, now: Observation, limits: Limits) -> str:
    silence = _silence(state, now)
    return (
        f"bingo has not answered for {silence:.0f} s" if state.last_ok is None or silence > limits.ready_after else ""
    )


def _silence(state: State, now: Observation) -> float:
    return now.at - (state.started if state.last_ok is None else state.last_ok)


def _reset_run(state: State) -> State:
    """Clear what concerns one run of bingo alone."""
    return replace(state, due=None, bad_until=None, silent_since=None)


def _due(now: Observation, limits: Limits) -> float | None:
    return now.at + _random_in(limits.lifetime, now.jitter) if limits.lifetime else None


def _random_in(between: Range, jitter: float) -> float:
    low, high = between
    return low + jitter * (high - low)
