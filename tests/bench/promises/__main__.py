"""`python -m tests.bench.promises [NAME ...]`: measures all, or what is named, and prints a Markdown table.

Without --home in a cloud of its own, with the production environment and all of its rows; with it on what runs there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from tests.bench.figure import Figure
from tests.bench.promises.drills import DRILLS, drill
from tests.bench.promises.generator import generator
from tests.bench.promises.load import overhead, peak, stable
from tests.bench.promises.protocols import protocols
from tests.bench.promises.world import World, production
from tests.support.checkout import ENVIRONMENTS
from tests.support.tool import Cli

MEASURES: Mapping[str, Callable[[World], Iterator[Figure]]] = {
    "generator": generator,
    "peak": peak,
    "stable": stable,
    "overhead": overhead,
    **{name: partial(drill, name=name) for name in DRILLS},
    "protocols": protocols,
}


def main() -> None:
    """Each row is printed as soon as it is known; what cannot be measured is a row that says why."""
    asked = _arguments()
    running = World(Cli(asked.home, asked.envs), asked.env, asked.runs, asked.rate) if asked.home else None
    with nullcontext(running) if running else production(asked.runs, asked.rate) as world:
        _row("| | measured | aim |\n|---|---|---|")
        for name in asked.names or MEASURES:
            _measure(world, name)


def _measure(world: World, name: str) -> None:
    try:
        for figure in MEASURES[name](world):
            _row(f"| {figure.what} | {figure.measured} | {figure.aim} |")
    except RuntimeError as error:
        _row(f"| {name} | not measured: {str(error).splitlines()[-1]} | |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.promises")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURES)}")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second while something is broken")
    parser.add_argument("--home", type=Path, help="a local cloud that runs")
    parser.add_argument("--envs", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--env", default="prod")
    actual = parser.parse_args()
    if unknown := set(actual.names) - set(MEASURES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return actual


def _row(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
