"""Compares recordings by what is true of each, as sets of facts. Times are shown, and never judged.

A recording is read by polls, which may miss a state that passes quickly. So the reference is made from several runs of
the local cloud: it has what was true in any of them, and what was true in all. It is shipped, so that the user of
Yandex Cloud needs no local cloud and no root. A test runs the programme on the local cloud, and fails where the
reference does not hold any more; `make certify-reference` records it anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, combinations
from pathlib import Path
from statistics import median

from grpc import StatusCode

from samovar.certify.recording import OK, RUNNING, Recording
from samovar.certify.run import Run
from samovar.core.api_methods import is_read

REFUSALS = "refusals"
"""The step whose calls are to be refused; their texts are compared."""
REFERENCE = Path(__file__).with_name("reference.json")


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


@dataclass(frozen=True)
class Reference:
    """The facts that were true in a run at least, and in all; the seconds of steps, and the median of operations."""

    ever: Facts = frozenset()
    always: Facts = frozenset()
    steps: Mapping[str, float] = field(default_factory=dict)
    operations: Mapping[str, float] = field(default_factory=dict)

    def differences(self, run: Run) -> tuple[Difference, ...]:
        """Return what is not true of both clouds."""
        return compare(facts_of(run), ever=self.ever, always=self.always)


def facts_of(run: Run) -> Facts:
    """Return what is true of a run."""
    return facts(run.recording, {step.name: step.outcome for step in run.steps})


def merge(runs: Sequence[Run], timed: Run, *, possible: Facts = frozenset()) -> Reference:
    """Return the reference that several runs of the same programme make, with the times of the run `timed`.

    The times of the others say nothing where simulated time passes slowly or quickly. `possible` are facts that may be
    true, such as states that no poll sees.
    """
    all_facts = [facts_of(run) for run in (timed, *runs)]
    seconds: dict[str, list[int]] = {}
    for operation in timed.recording.operations:
        seconds.setdefault(operation.method, []).append(operation.seconds)
    return Reference(
        possible.union(*all_facts),
        all_facts[0].intersection(*all_facts),
        {step.name: step.seconds for step in timed.steps},
        {method: median(each) for method, each in sorted(seconds.items())},
    )


def read_reference(file: Path = REFERENCE) -> Reference:
    """Return the reference that is shipped."""
    content = json.loads(file.read_text())
    lines = [(tuple(fact), always) for always, *fact in content["facts"]]
    return Reference(
        frozenset(fact for fact, _ in lines),
        frozenset(fact for fact, always in lines if always),
        content["steps"],
        content["operations"],
    )


def write_reference(reference: Reference, file: Path = REFERENCE) -> None:
    """Write a reference, each fact on a line of its own."""
    times = {"steps": reference.steps, "operations": reference.operations}
    head = json.dumps(times, indent=1, ensure_ascii=False).removesuffix("\n}")
    lines = [json.dumps([fact in reference.always, *fact], ensure_ascii=False) for fact in sorted(reference.ever)]
    body = ",\n  ".join(lines)
    file.write_text(f'{head},\n "facts": [\n  {body}\n ]\n}}\n')
