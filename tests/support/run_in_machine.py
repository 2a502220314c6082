"""Commands run in a machine, which is known by the pid of its init."""

from __future__ import annotations

import subprocess


def in_machine(pid: int, *command: str) -> list[str]:
    """Return the command that runs this one in all namespaces of the machine."""
    return ["nsenter", "--all", "--target", str(pid), "--", *command]


def run_in_machine(pid: int, *command: str, timeout: float = 600) -> str:
    """Return the output of a command in the machine, which has to succeed."""
    ended = subprocess.run(in_machine(pid, *command), check=True, capture_output=True, text=True, timeout=timeout)
    return ended.stdout
