"""`python3 -m samovar_agent`: runs for ever; ends with 1 on what it cannot use, and systemd starts it again."""

from __future__ import annotations

import sys

from . import notify
from .agent import Agent
from .errors import Wrong
from .metadata import Metadata


def main() -> int:
    """Returns only when it gives up, with the exit code."""
    try:
        for status in Agent(Metadata()).passes():
            notify.ready(status)
    except Wrong as error:
        notify.say(f"cannot configure this machine: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
