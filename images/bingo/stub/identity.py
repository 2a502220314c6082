"""Derives port and log folder from the student's e-mail, as the binary does."""

from __future__ import annotations

import hashlib
from pathlib import Path

LOGS = Path("/opt/bongo/logs")
FIRST_PORT, PORTS = 10_000, 20_000


def log_folder(email: str) -> Path:
    """Return the folder of main.log; it must exist and be writable."""
    return LOGS / _digest(email)[:10]


def port(email: str) -> int:
    """Return the port to listen on, from 10000 to 29999."""
    return FIRST_PORT + int(_digest(email)[10:20], 16) % PORTS


def _digest(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()
