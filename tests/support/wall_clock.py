"""`python -m tests.support.wall_clock FILE MODULE ...`: runs a module with a wall clock of its own.

FILE holds the seconds by which the clock is ahead of the host's. It may change meanwhile.
"""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path


def main() -> None:
    file, module = Path(sys.argv[1]), sys.argv[2]
    host_time = time.time
    time.time = lambda: host_time() + float(file.read_text())
    del sys.argv[:2]
    runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main()
