"""The program `samovar`: the installed command, `python -m samovar` and a checkout's `./cli.py` all run this."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

INTERRUPTED, HOST = 130, 7
"""Exit codes of `samovar.core.errors.ExitCode`, which may be what cannot be imported."""
OBJECTS = 200_000
"""New objects after which Python looks for garbage: nearly all that a command makes lives to its end."""


def run(checkout: Path | None = None) -> int:
    """Run the command line and return its exit code.

    `checkout` is the folder of the `cli.py` that was started: the project where no other one is found.
    """
    gc.set_threshold(OBJECTS)
    try:
        from samovar.cli.main import main  # noqa: PLC0415 - an import that fails is reported below

        return main(program="cli.py" if checkout else "samovar", checkout=checkout)
    except KeyboardInterrupt:  # before `main` could report it
        return INTERRUPTED
    except ModuleNotFoundError as error:  # the locks are newer than .venv; `main` reports it for what is loaded later
        remedy = "run make setup" if checkout else "install samovar again"
        sys.stderr.write(f"samovar: {error}\n  remedy: {remedy}\n")
        return HOST


if __name__ == "__main__":
    sys.exit(run())
