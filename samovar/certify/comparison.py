"""Compares two recordings by what is true of each, as sets of facts. Times are shown, and never judged. Pure.

A recording is read by polls, which may miss a state that passes quickly. So a reference is made from several runs: it
has what was true in any of them, and what was true in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, combinations

from grpc import StatusCode

from samovar.certify.recording import OK, RUNNING, Recording
from samovar.cloud.errors import is_read

REFUSALS = "refusals"
"""The step whose calls are to be refused; their texts are compared."""


class Aspect(StrEnum):
    """The aspects in which two clouds are compared. The words of a fact follow its aspect."""

    METHOD = "method"
    OPERATION = "operation"
    DESCRIPTION = "description"
    STATE = "state"
    LAST_STATE = "last state"
    ORDER = "order"
    FIELD = "field"
    ERROR = "error"
    REFUSAL = "refusal"
    OUTCOME = "outcome"


EXPLAINED: Mapping[Aspect, str] = {
    Aspect.METHOD: "a method that was called",
    Aspect.OPERATION: "a method, the end of its operation, and the types of its metadata and its response",
    Aspect.DESCRIPTION: "a method, and the description of its operation",
    Aspect.STATE: "a step, a kind of resource, and a state that one of them was in",
    Aspect.LAST_STATE: "a step, a kind of resource, and the state that one of them was left in",
    Aspect.ORDER: "a step, a kind of resource, and two states, the first before the second",
    Aspect.FIELD: "a method, and a field that was set in its answer",
    Aspect.ERROR: "a method that failed outside of the step `refusals`, and its status",
    Aspect.REFUSAL: "a method that was refused as it should be, its status and its text",
    Aspect.OUTCOME: "a step, and how it ended",
}
Facts = frozenset[tuple[str, ...]]
POSSIBLE = frozenset({Aspect.STATE, Aspect.ORDER, Aspect.ERROR})
"""The aspects of which nothing has to be true: polls miss a state that passes, and a call fails by chance."""


@dataclass(frozen=True)
class Difference:
    """A fact that is true of one cloud alone. `only` is `here` or `reference`; `fact` has the words of its aspect."""

    aspect: Aspect
    only: str
    fact: tuple[str, ...]


HERE, THERE = "here", "reference"


def facts(recording: Recording, outcomes: Mapping[str, str]) -> Facts:
    """Return what is true of a recording, and of the outcome of each step."""
    parts = (_of_calls(recording), _of_operations(recording), _of_states(recording), _of_fields(recording))
    ends = ((Aspect.OUTCOME, step, outcome) for step, outcome in outcomes.items())
    return frozenset(tuple(map(str, fact)) for fact in chain(*parts, ends))


def compare(facts_here: Facts, *, ever: Facts, always: Facts) -> tuple[Difference, ...]:
    """Return the facts that are true here and not `ever` there, and those that are `always` true there and not here.

    The last state that polls see of what is deleted is one by chance, so it counts only where it is always the same.
    """
    added = [Difference(Aspect(fact[0]), HERE, fact[1:]) for fact in facts_here - ever if fact[0] != Aspect.LAST_STATE]
    absent = [Difference(Aspect(fact[0]), THERE, fact[1:]) for fact in always - facts_here if fact[0] not in POSSIBLE]
    order = list(Aspect)
    return tuple(sorted((*added, *absent), key=lambda each: (order.index(each.aspect), each.fact, each.only)))


def _of_calls(recording: Recording) -> Iterator[tuple[str, ...]]:
    for call in recording.calls:
        yield Aspect.METHOD, call.method
        if call.step == REFUSALS:
            if call.status != OK:
                yield Aspect.REFUSAL, call.method, call.status, call.text
        elif call.status != OK and not (is_read(call.method) and call.status == StatusCode.NOT_FOUND.name):
            yield Aspect.ERROR, call.method, call.status  # what a read does not find was deleted meanwhile


def _of_operations(recording: Recording) -> Iterator[tuple[str, ...]]:
    for each in recording.operations:
        if each.status != RUNNING:
            yield Aspect.OPERATION, each.method, each.status, each.metadata, each.response
        yield Aspect.DESCRIPTION, each.method, each.description
        if each.step == REFUSALS and each.text:
            yield Aspect.REFUSAL, each.method, each.status, each.text


def _of_states(recording: Recording) -> Iterator[tuple[str, ...]]:
    for sequence in recording.sequences:
        states = [moment.state for moment in sequence.states]
        yield from ((Aspect.STATE, sequence.step, sequence.kind, state) for state in states)
        if sequence.step != REFUSALS:  # nothing changes in it, and it may be over before a poll
            yield Aspect.LAST_STATE, sequence.step, sequence.kind, states[-1]
        pairs = combinations(states, 2)
        yield from ((Aspect.ORDER, sequence.step, sequence.kind, *pair) for pair in pairs if pair[0] != pair[1])


def _of_fields(recording: Recording) -> Iterator[tuple[str, ...]]:
    for method, paths in recording.fields.items():
        yield from ((Aspect.FIELD, method, path) for path in paths)
