"""The report of a run: JSON with all that was recorded, and a page that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import TypeVar

from pydantic import TypeAdapter, computed_field

from samovar.certify.comparison import EXPLAINED, HERE, Aspect, Difference, Reference
from samovar.certify.recording import OK, RUNNING, Call, OperationRecord
from samovar.certify.run import Run
from samovar.core.output import to_plain
from samovar.core.templates import load_page

RecordT = TypeVar("RecordT", Call, OperationRecord)
PROGRAMME_NUMBER = 1
"""The number of the programme: runs of another one are not compared."""
TEMPLATE = Path(__file__).with_name("page.html.j2")


@dataclass(frozen=True)
class Report:
    """A run of the programme and its differences from the reference. It holds no id, no address and no secret.

    `tool` is the version of samovar, `programme` the number of the programme.
    """

    tool: str
    programme: int
    date: str
    differences: tuple[Difference, ...]
    run: Run

    @computed_field  # type: ignore[prop-decorator] # as pydantic's documentation has it
    @property
    def same(self) -> bool:
        """Return whether the programme came to its end, and nothing differs."""
        return not self.run.stopped and not self.differences


def report(run: Run, reference: Reference, *, tool: str, date: str) -> Report:
    """Return the report of a run. What a programme that stopped did not get to is no difference."""
    differences = reference.differences(run)
    if run.stopped:
        differences = tuple(each for each in differences if each.only == HERE)
    return Report(tool, PROGRAMME_NUMBER, date, differences, run)


@dataclass(frozen=True)
class Row:
    """A line of the page's tables: how often, the median and the most seconds here, and the reference's seconds."""

    name: str
    count: int
    failed: int
    seconds: float
    most: float
    reference: float | None


def write(report: Report, reference: Reference, folder: Path) -> tuple[Path, Path]:
    """Write the page and the JSON into the folder, which is created if need be; returns their paths."""
    text = load_page(TEMPLATE).render(
        report=report,
        reference=reference,
        differences=[(aspect, EXPLAINED[aspect], each) for aspect, each in _by_aspect(report)],
        operations=list(operation_rows(report.run.recording.operations, reference.operations)),
        calls=list(call_rows(report.run.recording.calls)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "certify.html", folder / "certify.json"
    page.write_text(text)
    data.write_text(f"{json.dumps(to_plain(report), indent=1, ensure_ascii=False)}\n")
    return page, data


def operation_rows(operations: tuple[OperationRecord, ...], there: Mapping[str, float]) -> Iterator[Row]:
    """Yield a line for each method that starts operations."""
    for method, records in _grouped(operations):
        seconds = [each.seconds for each in records]
        failed = sum(each.status not in (OK, RUNNING) for each in records)
        yield Row(method, len(records), failed, median(seconds), max(seconds), there.get(method))


def call_rows(calls: tuple[Call, ...]) -> Iterator[Row]:
    """Yield a line for each method."""
    for method, records in _grouped(calls):
        seconds = [each.seconds for each in records]
        failed = sum(each.status != OK for each in records)
        yield Row(method, len(records), failed, median(seconds), max(seconds), None)


def _grouped(records: tuple[RecordT, ...]) -> Iterator[tuple[str, list[RecordT]]]:
    ordered = sorted(records, key=lambda each: each.method)
    for method, together in groupby(ordered, key=lambda each: each.method):
        yield method, list(together)


def _by_aspect(report: Report) -> Iterator[tuple[Aspect, list[Difference]]]:
    for aspect, together in groupby(report.differences, key=lambda each: each.aspect):
        yield aspect, list(together)


def read(file: Path) -> Report:
    """Return the report of a file that `write` made."""
    return TypeAdapter(Report).validate_json(file.read_bytes())
