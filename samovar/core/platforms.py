"""The sizes that machines may have: memory and cores by platform and share of the cores. Pure.

Source: Yandex Cloud's documentation, compute/concepts/performance-levels. Only a platform whose table was read there is
checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from samovar.core.constants import GIB


@dataclass(frozen=True)
class Level:
    """The sizes at one share of the cores: how many cores there may be, and the memory of each, in gigabytes."""

    cores: frozenset[int]
    memory: tuple[float, ...]


def _level(cores: str, memory: tuple[float, ...]) -> Level:
    """Return the level of numbers of cores such as `2-16:2 20-32:4`: single ones, and ranges with their step."""
    numbers: set[int] = set()
    for part in cores.split():
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        numbers.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return Level(frozenset(numbers), memory)


def _up_to(most: int) -> tuple[float, ...]:
    return tuple(map(float, range(1, most + 1)))


HALVES = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
SHARED = (_level("2 4", HALVES),)
ZEN_3 = (_level("2 4 8 16 32 48 64 96 128", _up_to(6)),)
ICE_LAKE = (
    _level("2-16:2 20 36 40", _up_to(16)),
    _level("24 48", _up_to(13)),
    _level("28 56", _up_to(11)),
    _level("32 60 64", _up_to(10)),
    _level("44", _up_to(14)),
    _level("52", _up_to(12)),
    _level("68", _up_to(9)),
    _level("72-80:4", _up_to(8)),
    _level("84 88", _up_to(7)),
    _level("92 96", _up_to(6)),
)
PLATFORMS: Mapping[str, Mapping[int, tuple[Level, ...]]] = {
    "standard-v1": {
        5: (_level("2 4", (0.5, 1.0, 1.5, 2.0)),),
        20: SHARED,
        100: (_level("2-16:2 20-32:4", _up_to(8)),),
    },
    "standard-v2": {
        5: (_level("2 4", (0.25, 0.5, 1.0, 1.5, 2.0)),),
        20: SHARED,
        50: SHARED,
        100: (_level("2-16:2 20-80:4", _up_to(16)),),
    },
    "standard-v3": {20: SHARED, 50: SHARED, 100: ICE_LAKE},
    "highfreq-v3": {100: (_level("2-16:2 20-56:4", _up_to(16)),)},
    "amd-v1": {20: (_level("2 4", (0.5, 1.0, 1.5)),), 50: SHARED, 100: ZEN_3},
}
"""By platform, and by the share of the cores in per cent."""


def size_problem(platform: str, cores: int, fraction: int, memory: int) -> str | None:
    """Return why no machine of that size exists, with the sizes that do; None where there may be one."""
    shares = PLATFORMS.get(platform)
    if shares is None:
        return None
    levels = shares.get(fraction)
    if levels is None:
        return f"{platform} has cores at {_list(shares)} per cent, and not at {fraction}"
    level = next((level for level in levels if cores in level.cores), None)
    if level is None:
        numbers = frozenset[int]().union(*(level.cores for level in levels))
        return f"{platform} has {_list(numbers)} cores at {fraction} per cent, and not {cores}"
    sizes = [cores * each for each in level.memory]
    if memory / GIB in sizes:
        return None
    offered = ", ".join(f"{size:g}G" for size in sizes)
    return f"{cores} cores at {fraction} per cent have {offered} of memory, and not {memory / GIB:g}G"


def _list(numbers: Mapping[int, object] | frozenset[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
