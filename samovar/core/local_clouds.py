"""Describes local clouds as their daemon and the tool both know them: files of a home, and claims of numbers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ENDPOINT_FILE, LOG_FILE, LOCK_FILE = "endpoint.json", "daemon.log", "lock"
"""The files of a daemon in its home. It holds the lock for as long as it runs."""
START_LOCK_FILE = "start.lock"
"""In the home: who starts a daemon holds it."""
SIMULATION_FILE = "simulation.json"
"""In the home of a cloud whose machines are simulated."""
CLAIMS = Path("/run/samovar")
"""The folder with a file for each local cloud on this host, which is named by its number and names its home."""
FRESH = "fresh:"
"""What stands before the home while the host holds nothing of it yet, or is being cleared."""


@dataclass(frozen=True)
class Endpoint:
    """The addresses (`host:port`) and keys of a running daemon, which writes them once it answers."""

    pid: int
    number: int
    grpc: str
    rest: str
    ca: str
    token: str = field(repr=False)
    key_file: str
    cloud_id: str
    folder_id: str
    zone: str
    oauth_token: str = field(default="", repr=False)


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
