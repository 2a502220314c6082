"""The two ways in which the agent fails: what it waits for is away, or what it was told is wrong."""

from __future__ import annotations


class Away(Exception):
    """Something outside does not answer yet: ask again."""


class Wrong(Exception):
    """The role, its settings or its templates do not fit together; the message names the place and the key."""
