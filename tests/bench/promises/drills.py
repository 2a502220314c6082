"""The service broken in every way that the terms name, under the stable load of the terms."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.bench.figure import Figure
from tests.bench.promises.load import spread
from tests.bench.promises.world import World

REST = 5.0
"""Seconds between two drills, so that one does not find what the other left behind."""
LOAD = ("--profile", "terms", "--timeout", "120", "--yes")
BINGO = "bingo.service"
BAD = "1000003"
RECOVERY = "whole in 10 s"

DRILLS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "crash": ("one bingo process killed", ("crash", "bingo", BINGO), "0 failed but writes in flight"),
    "crash-both": ("both bingo processes killed", ("crash", "bingo", BINGO, "--all"), "0 failed but writes in flight"),
    "bad": ("one bingo answers 500", ("operation", "bingo", BAD, "--unit", BINGO), "0 failed but writes"),
    "kill-bingo": ("a bingo machine's power cut", ("kill", "bingo-1"), "0 failed but those in flight"),
    "kill-active": ("the working edge's power cut", ("kill", "nginx-1"), "0 failed but in flight and until noticed"),
    "kill-passive": ("the other edge's power cut", ("kill", "nginx-2"), "0 failed but in flight and until noticed"),
    "kill-postgres": ("the database machine's power cut", ("kill", "postgres"), "errors for 30 s at most"),
    "stop-bingo": ("a bingo machine shut down", ("stop", "bingo-1"), "0 failed"),
    "stop-active": ("the working edge shut down", ("stop", "nginx-1"), "0 failed"),
    "stop-passive": ("the other edge shut down", ("stop", "nginx-2"), "0 failed"),
    "stop-postgres": ("the database machine shut down", ("stop", "postgres"), "errors for 30 s at most"),
}


def drill(world: World, name: str) -> Iterator[Figure]:
    """Name by name, so that one can be measured alone."""
    what, (verb, *target), aim = DRILLS[name]
    found = []
    for _ in range(world.runs):
        world.whole()
        time.sleep(REST)
        found.append(world.ask("drill", world.environment, verb, *target, *LOAD, "--rate", str(world.rate)))
    yield Figure(f"{what}, at {world.rate:g} a second", _shown(found), f"{aim}; {RECOVERY}")


def _shown(runs: Sequence[Any]) -> str:
    stall = [max(run["max_seconds"], run["longest_gap_seconds"]) for run in runs]
    kinds = ", ".join(sorted({kind for run in runs for kind in run["failures"]}))
    return (
        f"failed {_counts(runs, 'failed')} of {_counts(runs, 'requests')}{f' ({kinds})' if kinds else ''}: in flight "
        f"{_counts(runs, 'failed_in_flight')}, until noticed {_counts(runs, 'failed_before_detection')}, later "
        f"{_counts(runs, 'failed_after_detection')}; longest stall {spread(stall)} s; noticed after "
        f"{spread([run['seconds_to_detect'] for run in runs])} s, whole after "
        f"{spread([run['seconds_to_recover'] for run in runs])} s, answers well after {_answered(runs)}"
    )


def _answered(runs: Sequence[Any]) -> str:
    known = [run["seconds_to_answer"] for run in runs if run["seconds_to_answer"] is not None]
    never = f", not to the end in {len(runs) - len(known)}" if len(known) < len(runs) else ""
    return f"{spread(known)} s{never}" if known else "never"


def _counts(runs: Sequence[Any], name: str) -> str:
    return " / ".join(str(run[name]) for run in runs)
