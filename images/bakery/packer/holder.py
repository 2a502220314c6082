"""Whose a bake is: a process of a machine. So what a bake left that was killed is told from one that runs."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

LIFETIME = 2 * 3600.0
"""Seconds after which no bake runs any more, wherever it was."""


def holder() -> str:
    """Our own process, as a label."""
    return f"{_place()}-{os.getpid()}"


def is_over(label: str, age: float) -> bool:
    """Whether nobody bakes under that label any more; `age` is that of what bears it, in seconds."""
    place, _, process = label.rpartition("-")
    died = place == _place() and process.isdecimal() and not Path(f"/proc/{process}").exists()
    return died or age > LIFETIME


def _place() -> str:
    """Tells hosts apart, and says no more of them."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
