"""Decides how many machines a group that is scaled by load shall have. Pure.

The rules are those of the documentation of Compute Cloud, concepts/instance-groups/scale.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

STEEPNESS = 10.0
"""How much more the end of a measurement counts than its beginning: e to this power."""
ROUNDING = 1e-6


@dataclass(frozen=True)
class Rules:
    """The rules of a group: its target in per cent of the processors, its bounds, and durations in seconds."""

    target: float
    smallest: int
    largest: int
    measurement: float
    stabilization: float
    zonal: bool = False


@dataclass(frozen=True)
class Load:
    """The load of one machine in per cent; None while the machine starts or warms up."""

    zone: str
    percent: float | None


@dataclass(frozen=True)
class Scaled:
    """The size of a group, and when it last changed and last grew, in seconds; 0 for never."""

    size: int
    changed_at: float = 0.0
    grew_at: float = 0.0


def next_size(rules: Rules, loads: Sequence[Load], scaled: Scaled, now: float) -> int:
    """Return the size that the group shall have now.

    After a change the load is measured anew. For a while after it grew the group does not shrink.
    """
    if now - scaled.changed_at < rules.measurement:
        return scaled.size
    size = min(max(needed(rules, loads, scaled.size), rules.smallest), rules.largest)
    if size < scaled.size and now - scaled.grew_at < rules.stabilization:
        return scaled.size
    return size


def needed(rules: Rules, loads: Iterable[Load], size: int) -> int:
    """Return how many machines keep the average load at the target; `size` while none is measured.

    A machine that is not measured counts with the average of the others, of its zone where the group scales by zone.
    Machines beyond `size`, which an update adds, do not count so.
    """
    ordered = sorted(loads, key=lambda load: load.zone)
    parts = groupby(ordered, key=lambda load: load.zone if rules.zonal else "")
    totals = [_needed_for(rules.target, [load.percent for load in part], size) for _, part in parts]
    return sum(totals) if any(load.percent is not None for load in ordered) else size


def average(samples: Iterable[tuple[float, float]], now: float, measurement: float) -> float | None:
    """Return the exponential moving average of (seconds, per cent) in the last `measurement` seconds, None without any.

    A sample's weight is exp(10 (x - a) / t), where a is the beginning and t the length of the measurement.
    """
    recent = [(moment, percent) for moment, percent in samples if moment > now - measurement]
    weights = [math.exp(STEEPNESS * (moment - now) / measurement) for moment, _ in recent]
    if not recent:
        return None
    return sum(weight * percent for weight, (_, percent) in zip(weights, recent, strict=True)) / sum(weights)


def _needed_for(target: float, percents: Sequence[float | None], size: int) -> int:
    measured = [percent for percent in percents if percent is not None]
    if not measured:
        return len(percents)
    count = max(len(measured), min(len(percents), size))
    return math.ceil(sum(measured) / len(measured) * count / target - ROUNDING)
