"""Warnings for the operator of the local cloud: what `cloud status` shows until it no longer holds."""

from __future__ import annotations


class Notices:
    """One set of texts for each source; each text names what happened, where, and the remedy."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[str, ...]] = {}

    def report(self, source: str, *texts: str) -> None:
        """Replaces what `source` reported before; without a text it withdraws that."""
        self._texts[source] = texts

    def all(self) -> tuple[str, ...]:
        """Every text that holds now, in the order in which their sources first reported."""
        return tuple(text for texts in self._texts.values() for text in texts)
