"""`python -m tests.bench [NAME ...]`: measures what the README shows, or what is named, and prints a Markdown table."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping

import structlog

from tests.bench.application import application
from tests.bench.bake import cold_bake
from tests.bench.commands import daemon_memory, daemon_start, help_time, idle_bake, idle_plan
from tests.bench.controller import controller
from tests.bench.database import database
from tests.bench.figure import Figure
from tests.bench.like_yandex import like_yandex
from tests.bench.metrics import metrics
from tests.bench.packer import packer
from tests.bench.scale import scale
from tests.bench.service import boot, kill_recovery, rollout, throughput
from tests.bench.simulated import simulated

MEASURES: Mapping[str, Callable[[], Iterator[Figure]]] = {
    "bake": cold_bake,
    "rollout": rollout,
    "boot": boot,
    "kill": kill_recovery,
    "throughput": throughput,
    "help": help_time,
    "plan": idle_plan,
    "bake-again": idle_bake,
    "daemon": daemon_start,
    "memory": daemon_memory,
    "controller": controller,
}
ON_DEMAND: Mapping[str, Callable[[], Iterator[Figure]]] = {
    "application": application,
    "database": database,
    "like-yandex": like_yandex,
    "metrics": metrics,
    "packer": packer,
    "scale": scale,
    "simulated": simulated,
}
"""What takes minutes: only when it is named."""
BY_WRK = frozenset({"throughput", "metrics"})


def main() -> None:
    """Each row is printed as soon as it is known."""
    names = _names()
    if BY_WRK & set(names) and shutil.which("wrk") is None:
        sys.exit("bench: wrk is missing\n  remedy: apt-get install wrk")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    _row("| | measured | aim |\n|---|---|---|")
    for name in names:
        for figure in {**MEASURES, **ON_DEMAND}[name]():
            _row(f"| {figure.what} | {figure.measured} | {figure.aim} |")


def _names() -> list[str]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure what the README shows, or what is named."
    )
    names = [*MEASURES, *ON_DEMAND]
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; without one {', '.join(MEASURES)}"
    )
    asked: list[str] = parser.parse_args().names
    if unknown := set(asked) - set(names):
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    return asked or [*MEASURES]


def _row(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
