"""How long a machine cannot write while a snapshot of its disk is taken: said beforehand, by what the last one took."""

from __future__ import annotations

from samovar.localcloud.store.store import Store

NOTE = ("snapshots", "standstill.rate")
RATE = 400e6
"""Bytes of a disk that are looked through in a second, where no snapshot was taken in this home yet."""
LEAST = 0.1
"""Seconds that freezing takes, however little there is to copy."""


def expected(store: Store, size: int) -> float:
    """Seconds for a disk that holds `size` bytes."""
    return LEAST + size / float(store.noted(*NOTE, RATE))


def remember(store: Store, size: int, seconds: float) -> None:
    """A disk of `size` bytes stood still for so long; one that holds next to nothing says nothing about the rate."""
    if seconds > LEAST:
        store.note(*NOTE, size / (seconds - LEAST / 2))
