"""`python -m tests.bench.long_run [HOURS]`: a day of a cloud of simulated machines, and what it takes hour by hour."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

import structlog

import samovar  # noqa: F401 - before gRPC, which it sets up
from samovar.localcloud.simulated.event_loop import run
from tests.support.long_run import HEADINGS, live

DAY = 24


def main() -> None:
    """The last row is of an hour that comes eight days later: what was done before is forgotten by then."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    hours = int(sys.argv[1]) if len(sys.argv) > 1 else DAY
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="samovar-long-run-") as folder:
        observed = run(live(Path(folder) / "home", hours))
    lines = [f"| {number + 1} | {each.row()} |" for number, each in enumerate(observed[:-1])]
    head = f"| hour | {HEADINGS} |\n|{'---|' * (HEADINGS.count('|') + 2)}"
    sys.stdout.write("\n".join([head, *lines, f"| days later | {observed[-1].row()} |", ""]))
    sys.stdout.write(f"{hours} simulated hours in {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
