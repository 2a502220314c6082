"""Runs a module of this program as another process, wherever the working directory is."""

from __future__ import annotations

import sys
from pathlib import Path

from samovar.core.errors import PROGRAM_VARIABLE, program
from samovar.core.paths import PACKAGE


def module_command(module: str, *words: str | Path) -> list[str | Path]:
    """Return the command that runs a module of this program, in the environment of `module_environment`.

    The option -P keeps a package of that name in the working directory from being run.
    """
    return [sys.executable, "-P", "-m", module, *words]


def module_environment() -> dict[str, str]:
    """Return the variables by which another process finds this program, and calls it by the same name."""
    return {"PYTHONPATH": str(PACKAGE.parent), PROGRAM_VARIABLE: program()}
