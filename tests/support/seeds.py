"""Seeds of tests that do things at random."""

from __future__ import annotations

import os
import random


def new_seeds(count: int) -> list[int]:
    """Return others in each run. The processes of one run get the same, for these stand in the names of tests."""
    run = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID"))  # noqa: S311 - no secret
    return [run.randrange(1 << 16) for _ in range(count)]
