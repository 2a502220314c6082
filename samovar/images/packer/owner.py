"""Whose a bake is: that of a process. So what a bake left that was killed is told from one that runs."""

from __future__ import annotations

from samovar.core.process_identity import has_ended, process_identity

LIFETIME = 2 * 3600.0
"""Seconds after which no bake runs any more, wherever it was."""


def holder() -> str:
    """Our own process, as a label."""
    return process_identity()


def is_over(label: str, age: float) -> bool:
    """Whether nobody bakes under that label any more; `age` is that of what bears it, in seconds."""
    return has_ended(label) or age > LIFETIME
