"""Runs the commands of the image on behalf of the watchdog, whose loop no failing or hanging one may end."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

TIMEOUT = 10.0

Log = Callable[[str], None]


def run(log: Log, *command: str) -> str:
    """Run a command and return its output; what fails is logged, and its output is empty."""
    try:
        done = subprocess.run(  # noqa: S603 - the image's own commands
            command, check=False, capture_output=True, text=True, errors="replace", timeout=TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log(f"{' '.join(command)}: {error}")
        return ""
    if done.returncode:
        log(f"{' '.join(command)}: ended with {done.returncode}: {done.stderr.strip()}")
        return ""
    return done.stdout
