"""`python3 -m samovar_agent` runs for ever, but on a machine that it cannot configure since the boot it ends with 1."""

from __future__ import annotations

import sys

from . import report
from .agent import Agent
from .clients import Metadata
from .role import InvalidConfig


def main() -> int:
    """Run the agent. Returns the exit code, only when the configuration is invalid."""
    try:
        for status in Agent(Metadata()).watch():
            report.ready(status)
    except InvalidConfig as error:
        report.status(f"{report.UNUSABLE}: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
