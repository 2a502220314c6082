"""Counts the runs of an application that is started by a schedule: how many of them failed in a row. Pure."""

from __future__ import annotations

from dataclasses import dataclass

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
