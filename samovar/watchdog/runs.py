"""Counts runs of an application: those by a schedule that failed in a row, and those that the watchdog ended."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .policy import Cause

FAILED, SUCCEEDED = "a run failed", "a run succeeded"
"""Stand in the lines that tell on the console of a run that ended."""
ENDED = frozenset({"inactive", "failed"})


@dataclass(frozen=True)
class Runs:
    """The runs so far: the `last` that ended, by systemd's invocation id, and how many `failed` in a row."""

    last: str = ""
    failed: int = 0


def count(runs: Runs, invocation: str, state: str) -> Runs:
    """Return the runs with one more, if the unit's invocation is another one and its `ActiveState` says it ended."""
    if invocation == runs.last or state not in ENDED:
        return runs
    return Runs(invocation, runs.failed + 1 if state == "failed" else 0)


NAME = "samovar_watchdog_restarts_total"
HEAD = f"""\
# HELP {NAME} Runs of the application that the watchdog ended, by their cause.
# TYPE {NAME} counter
"""


class Restarts:
    """The restarts of a unit by cause, since the watchdog began.

    Each is shown from then on, so that its first one counts.
    """

    def __init__(self, file: Path, unit: str) -> None:
        self._file = file
        self._unit = unit
        self._counts = Counter[Cause]()
        self._write()

    def count(self, cause: Cause) -> None:
        self._counts[cause] += 1
        self._write()

    def _write(self) -> None:
        """Write the file at once: who reads it finds it whole. The watchdog goes on where it cannot be written."""
        samples = (f'{NAME}{{name="{self._unit}",cause="{cause}"}} {self._counts[cause]}\n' for cause in Cause)
        partial = self._file.with_suffix(".new")
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(HEAD + "".join(samples))
            partial.replace(self._file)
