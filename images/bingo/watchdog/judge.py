"""What is to be done about what was seen. Pure: the caller brings the time and the dice.

`unready` is for the balancer: bingo does not answer. `dead` is for the group, which makes the machine anew: not for a
bingo that is away for a moment, nor ever for the database, but for one that does not come back by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

Range = tuple[float, float]


class Ping(Enum):
    """What came of asking bingo: 200; another answer; no connection, or one cut off; nothing in time."""

    WELL = auto()
    BAD = auto()
    GONE = auto()
    SILENT = auto()


@dataclass(frozen=True)
class Limits:
    """Seconds; `memory` in bytes of all of bingo's processes; `low` and `full` are parts of the disk that are free.

    `bad` and `lifetime` are ranges: what is drawn from them lets machines that were started together drift apart.
    Without a `lifetime` bingo runs until it fails. `gone` is how long a machine waits whose bingo was up before;
    `never` how long, and up to twice as long, one whose bingo never was: then the fault is most likely everywhere, and
    a new machine no better.
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
class Sight:
    """What is seen at `at` (monotonic). `dice` is a new number from 0 to 1."""

    at: float
    ping: Ping
    memory: int = 0
    free: float = 1.0
    dice: float = 0.5


@dataclass(frozen=True)
class State:
    """What is remembered. `ran`: bingo was up on this machine, perhaps before `begun`; `well`: when last, since then.

    `due` is when this run of bingo is to end unasked.
    """

    begun: float
    ran: bool
    patience: float
    well: float | None = None
    full_since: float | None = None
    due: float | None = None
    bad_until: float | None = None
    silent_since: float | None = None


@dataclass(frozen=True)
class Verdict:
    """`hold`: the proxy keeps requests for now; `tidy`: logs are to go. Texts are reasons, empty where there is none.

    `end` is why bingo ends now, `renew` why it ends if nobody waits for its answer.
    """

    hold: bool = False
    end: str = ""
    renew: str = ""
    tidy: bool = False
    dead: str = ""
    unready: str = ""


def begin(at: float, limits: Limits, *, ran: bool, dice: float) -> State:
    """Before anything was seen."""
    return State(begun=at, ran=ran, patience=limits.gone if ran else limits.never * (1 + dice))


def judge(state: State, sight: Sight, limits: Limits) -> tuple[State, Verdict]:
    """The new state, and what follows from it."""
    state = _remember(_measured(state, sight, limits), sight, limits)
    end, low = _end(state, sight, limits), sight.free < limits.low
    renew = not end and state.due is not None and sight.at >= state.due
    verdict = Verdict(
        hold=sight.ping is Ping.BAD,
        end=end,
        renew="it ran long enough" if renew else "",
        tidy=low,
        dead=_dead(state, sight, limits),
        unready=_unready(state, sight, limits),
    )
    if end:
        state = _forget(state)
    return replace(state, due=sight.at + limits.postpone if renew else state.due), verdict


def _measured(state: State, sight: Sight, limits: Limits) -> State:
    """Since when the disk is full, whatever is removed."""
    if sight.free >= limits.full:
        return replace(state, full_since=None)
    return state if state.full_since is not None else replace(state, full_since=sight.at)


def _remember(state: State, sight: Sight, limits: Limits) -> State:
    match sight.ping:
        case Ping.WELL:
            due = _due(sight, limits) if state.due is None else state.due
            return replace(_forget(state), well=sight.at, ran=True, patience=limits.gone, due=due)
        case Ping.BAD if state.bad_until is None:
            return replace(state, bad_until=sight.at + _drawn(limits.bad, sight.dice), silent_since=None)
        case Ping.SILENT if state.silent_since is None:
            return replace(state, silent_since=sight.at, bad_until=None)
        case Ping.GONE:
            return _forget(state)
    return state


def _end(state: State, sight: Sight, limits: Limits) -> str:
    if state.bad_until is not None and sight.at >= state.bad_until:
        return "it answers, and is not well"
    if state.silent_since is not None and sight.at - state.silent_since >= limits.silent:
        return f"it has not answered for {sight.at - state.silent_since:.0f} s"
    if sight.memory > limits.memory:
        return f"it has {sight.memory >> 20} MiB of memory, over {limits.memory >> 20}"
    return ""


def _dead(state: State, sight: Sight, limits: Limits) -> str:
    if (away := _away(state, sight)) > state.patience:
        return f"bingo has not answered for {away:.0f} s"
    if state.full_since is not None and sight.at - state.full_since >= limits.full_for:
        return f"the disk is full: {sight.free:.0%} are free, and no logs are left to remove"
    return ""


def _unready(state: State, sight: Sight, limits: Limits) -> str:
    away = _away(state, sight)
    return f"bingo has not answered for {away:.0f} s" if state.well is None or away > limits.ready_after else ""


def _away(state: State, sight: Sight) -> float:
    return sight.at - (state.begun if state.well is None else state.well)


def _forget(state: State) -> State:
    """Nothing of a run of bingo matters for the next."""
    return replace(state, due=None, bad_until=None, silent_since=None)


def _due(sight: Sight, limits: Limits) -> float | None:
    return sight.at + _drawn(limits.lifetime, sight.dice) if limits.lifetime else None


def _drawn(between: Range, dice: float) -> float:
    low, high = between
    return low + dice * (high - low)
