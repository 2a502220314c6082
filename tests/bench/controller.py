"""The instance-group controller on a simulated clock: what a decision costs as groups grow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from tests.bench.figure import Figure
from tests.support.checkout import ROOT

SIMULATE = [sys.executable, "-m", "tests.support.group_simulation", "-o", "json"]


def controller() -> Iterator[Figure]:
    output = subprocess.run(SIMULATE, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    sizes = json.loads(output)["sizes"]
    shown = ", ".join(f"{actual['rolling_ms']:g} ms at {actual['machines']}" for actual in sizes)
    yield Figure("a step of the group controller in a rolling update, by simulated machines", shown, "linear")
