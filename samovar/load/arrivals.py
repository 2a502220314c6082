"""Decides when requests leave, and which. Pure sequences: what is sent never depends on what comes back."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from itertools import count
from math import floor
from random import Random
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def evenly(rate: float) -> Iterator[float]:
    """Yield seconds from the start, `rate` of them a second, at equal distance."""
    return (number / rate for number in count())


def poisson(rate: float, seed: int) -> Iterator[float]:
    """Yield seconds from the start, `rate` of them a second on average, as independent users come."""
    generator, now = Random(seed), 0.0  # noqa: S311 - arrivals are no secret
    while True:
        now += generator.expovariate(rate)
        yield now


def mixed(weights: Mapping[T, float]) -> Iterator[T]:
    """Yield each key as often as its weight, spread evenly (the smooth weighted round robin of nginx)."""
    credit = dict.fromkeys(weights, 0.0)
    total = sum(weights.values())
    while True:
        for key, weight in weights.items():
            credit[key] += weight
        best = max(credit, key=credit.__getitem__)
        credit[best] -= total
        yield best


def portion(share: float) -> Iterator[bool]:
    """Yield True for that share (0 to 1) of a long sequence, spread evenly."""
    return (floor((number + 1) * share) > floor(number * share) for number in count())
