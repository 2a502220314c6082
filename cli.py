#!/bin/sh
# ruff: noqa: EXE003 - the shell reads as far as the docstring goes: it looks for the virtual environment's Python
""":"
self=$(readlink -f "$0")
python=${self%/*}/.venv/bin/python
unset PYTHONDONTWRITEBYTECODE  # a second of every command would go into compiling the libraries anew
[ -x "$python" ] && exec "$python" "$self" "$@"
echo "samovar: there is no ${python%/bin/python}" >&2
echo "  remedy: run make setup" >&2
exit 7
"""  # noqa: D205, D400, D415

from __future__ import annotations

import sys
from pathlib import Path

from samovar.__main__ import run

if __name__ == "__main__":
    sys.exit(run(checkout=Path(__file__).resolve().parent))
