"""The drills of the project, each under the stable load of the terms, with what they expect."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from samovar.project.drill import Drill, load_drill
from tests.bench.figure import Figure
from tests.bench.promises.load import spread
from tests.bench.promises.world import World
from tests.support.checkout import PROJECT

REST = 5.0
"""Seconds between two drills, so that one does not measure the effects of another."""
DRILLS = (
    *("bingo-500", "bingo-power", "bingo-process", "bingo-processes", "bingo-shutdown"),
    *("database-power", "database-shutdown"),
    *("edge-power", "edge-shutdown", "passive-edge-power", "passive-edge-shutdown"),
)
"""Those that are measured several times, for docs/load.md; `make drills` runs all of them once."""


def drill(world: World, name: str) -> Iterator[Figure]:
    """Run one drill as often as the world says."""
    stated, reports = load_drill(PROJECT.drills, name), []
    for _ in range(world.runs):
        world.healthy_status()
        time.sleep(REST)
        reports.append(world.ask("drill", world.environment, name, "--yes", "--rate", str(world.rate)))
    yield Figure(f"{stated.description}, at {world.rate:g} a second", _shown(reports), _aim(stated))


def _aim(stated: Drill) -> str:
    limits = stated.expect.model_dump(exclude_none=True)
    return "; ".join(f"{name.replace('_', ' ')} {limit:g} at most" for name, limit in limits.items())


def _shown(runs: Sequence[Any]) -> str:
    stall = [max(run["max_seconds"], run["longest_gap_seconds"]) for run in runs]
    kinds = ", ".join(sorted({kind for run in runs for kind in run["failures"]}))
    return (
        f"failed {_counts(runs, 'failed')} of {_counts(runs, 'requests')}{f' ({kinds})' if kinds else ''}: in flight "
        f"{_counts(runs, 'failed_in_flight')}, until noticed {_counts(runs, 'failed_before_detection')}, later "
        f"{_counts(runs, 'failed_after_detection')}; longest stall {spread(stall)} s; noticed after "
        f"{_seconds(runs, 'seconds_to_detect')}, whole after {_seconds(runs, 'seconds_to_recover')}, "
        f"answers well after {_seconds(runs, 'seconds_to_answer')}"
    )


def _seconds(runs: Sequence[Any], name: str) -> str:
    measured = [run[name] for run in runs if run[name] is not None]
    never = f", not to the end in {len(runs) - len(measured)}" if len(measured) < len(runs) else ""
    return f"{spread(measured)} s{never}" if measured else "never"


def _counts(runs: Sequence[Any], name: str) -> str:
    return " / ".join(str(run[name]) for run in runs)
