"""Tells the methods of the API that only read from those that change something."""

from __future__ import annotations

READING = ("Get", "List")


def is_read(method: str) -> bool:
    """Return whether a method, by its full or its short name, changes nothing."""
    return method.rpartition("/")[2].rpartition(".")[2].startswith(READING)
