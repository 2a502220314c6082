"""The reference says what the local cloud does on the programme: recorded from several runs, it is shipped.

So the user of Yandex Cloud needs no local cloud, and no root. A test runs the programme on the local cloud, and fails
where the reference does not hold any more; `make certify-reference` records it anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from samovar.certify.comparison import Difference, Facts, compare, facts
from samovar.certify.run import Run

FILE = Path(__file__).with_name("reference.json")


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


def read_reference(file: Path = FILE) -> Reference:
    """Return the reference that is shipped."""
    content = json.loads(file.read_text())
    lines = [(tuple(fact), always) for always, *fact in content["facts"]]
    return Reference(
        frozenset(fact for fact, _ in lines),
        frozenset(fact for fact, always in lines if always),
        content["steps"],
        content["operations"],
    )


def write_reference(reference: Reference, file: Path = FILE) -> None:
    """Write a reference, each fact on a line of its own."""
    times = {"steps": reference.steps, "operations": reference.operations}
    head = json.dumps(times, indent=1, ensure_ascii=False).removesuffix("\n}")
    lines = [json.dumps([fact in reference.always, *fact], ensure_ascii=False) for fact in sorted(reference.ever)]
    body = ",\n  ".join(lines)
    file.write_text(f'{head},\n "facts": [\n  {body}\n ]\n}}\n')
