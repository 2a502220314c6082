"""`python -m tests.bench.stories [COUNT] [SEED]`: searches for the shortest story that breaks a promise."""

from __future__ import annotations

import logging
import secrets
import sys
import tempfile
import time
from pathlib import Path

import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings

import samovar  # noqa: F401 - before gRPC, which it sets up
from tests.support.stories.live import broken_promises, worlds
from tests.support.stories.story import Story, stories

COUNT = 1000


def main() -> int:
    """Exit with 1 where a promise was broken; the story is printed in the form of a drill's file."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    chosen = int(sys.argv[2]) if len(sys.argv) > 2 else secrets.randbelow(1 << 32)
    began, searched = time.monotonic(), 0
    shortest: list[tuple[Story, list[str]]] = []
    with tempfile.TemporaryDirectory(prefix="samovar-stories-") as folder, worlds(Path(folder)) as copies:

        @seed(chosen)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        @given(stories)
        def check(story: Story) -> None:
            nonlocal searched
            searched += 1
            if broken := broken_promises(copies, story):
                shortest[:] = [(story, broken)]
            assert not broken

        try:
            check()
        except AssertionError:
            story, broken = shortest[0]
            sys.stdout.write(f"{story}\nbroken: " + "\nbroken: ".join(broken) + "\n")
    sys.stdout.write(f"{searched} stories in {time.monotonic() - began:.0f} s, seed {chosen}\n")
    return 1 if shortest else 0


if __name__ == "__main__":
    sys.exit(main())
