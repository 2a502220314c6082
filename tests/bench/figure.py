"""A figure, and how several runs become one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A row of the table."""

    what: str
    measured: str
    aim: str = ""


def seconds(values: Sequence[float]) -> str:
    """Return the median and, of several values, the spread."""
    middle = f"{statistics.median(values):.2f} s"
    return f"{middle} ({min(values):.2f}-{max(values):.2f})" if len(values) > 1 else middle


def timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began
