"""Reads which local clouds are on this host: each has a file that is named by its number and names its home."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

CLAIMS = Path("/run/samovar")
FRESH = "fresh:"
"""What stands before the home while the host holds nothing of it yet, or is being cleared."""


def read_claims(folder: Path) -> dict[int, tuple[str, bool]]:
    """Return the home of each claimed number, and whether its claim is fresh.

    A claim that is released meanwhile is left out, and one of another user that may not be read.
    """
    claims = {}
    for file in folder.glob("[0-9]*"):
        with suppress(FileNotFoundError, PermissionError):
            text = file.read_text()
            claims[int(file.name)] = text.removeprefix(FRESH), text.startswith(FRESH)
    return claims
