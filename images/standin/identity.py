"""What the binary derives from the student's e-mail: an operator finds it out once, and writes it down."""

from __future__ import annotations

import hashlib
from pathlib import Path

LOGS = Path("/opt/bongo/logs")
FIRST_PORT, PORTS = 10_000, 20_000


def log_folder(email: str) -> Path:
    """The folder of main.log: it must exist and be writable."""
    return LOGS / _digest(email)[:10]


def port(email: str) -> int:
    """The port that is listened on, from 10000 to 29999."""
    return FIRST_PORT + int(_digest(email)[10:20], 16) % PORTS


def _digest(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()
