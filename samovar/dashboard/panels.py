"""Graphs over time: how many machines of each group are healthy, and what the environment's metrics say."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from samovar.ops.events import Reading

WINDOW = 1800.0
"""Seconds that the graphs show."""


@dataclass(frozen=True)
class Series:
    """A line: a value for each time of its panel, None where there is none."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Panel:
    """A graph in one unit. `times` are in seconds since 1970; `stepped` says that a value holds until the next."""

    title: str
    unit: str
    times: Sequence[float]
    series: tuple[Series, ...]
    stepped: bool = False


@dataclass(frozen=True)
class Graphs:
    """Panels, and a note that says what is not shown and why."""

    panels: tuple[Panel, ...] = ()
    note: str = ""


class HealthyMachines:
    """The numbers of healthy machines over time, kept where they change."""

    def __init__(self) -> None:
        self._points = deque[tuple[float, dict[str, int]]]()

    def add(self, reading: Reading) -> None:
        """Take in a reading, and drop what the graph does not show any more."""
        counts = {group.name: sum(m.healthy for m in group.machines) for group in reading.status.groups}
        if not self._points or self._points[-1][1] != counts:
            self._points.append((reading.time, counts))
        while len(self._points) > 1 and self._points[1][0] < reading.time - WINDOW:
            self._points.popleft()

    def panels(self, now: float) -> tuple[Panel, ...]:
        """Return the graph up to now."""
        if not self._points:
            return ()
        points = [(max(time, now - WINDOW), counts) for time, counts in self._points] + [(now, self._points[-1][1])]
        series = (Series(name, [counts.get(name) for _, counts in points]) for name in points[-1][1])
        return (Panel("Healthy machines", "", [time for time, _ in points], tuple(series), stepped=True),)
