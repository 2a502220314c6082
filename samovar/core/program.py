"""The name by which an operator calls this program, for the remedies that tell him what to run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "SAMOVAR_PROGRAM"
"""Gives a process that the tool starts, such as the local cloud's daemon, the name of the tool."""


def program() -> str:
    """Return `./cli.py` where the tool runs out of a checkout, else `samovar`."""
    started = "./cli.py" if Path(sys.argv[0]).name == "cli.py" else "samovar"
    return os.environ.get(VARIABLE) or started


def command_line(arguments: str) -> str:
    """Return the command that an operator types, such as `samovar cloud up`."""
    return f"{program()} {arguments}"
