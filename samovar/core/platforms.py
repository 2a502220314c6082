"""The sizes that machines may have: memory and cores by platform and share of the cores. Pure.

Source: Yandex Cloud's documentation, compute/concepts/performance-levels. Only a platform whose table was read there is
checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from samovar.core.units import GIB

HALF = GIB // 2


@dataclass(frozen=True)
class Level:
    """The sizes at one share of the cores: the cores, and the least, most and steps of the memory of each, in bytes."""

    cores: frozenset[int]
    least: int
    most: int
    step: int

    def memories(self, cores: int) -> tuple[int, ...]:
        """Return every memory that a machine of so many cores may have, in bytes."""
        return tuple(cores * each for each in range(self.least, self.most + 1, self.step))


FEW = Level(frozenset({2, 4}), HALF, 4 * GIB, HALF)
ALL = Level(frozenset({*range(2, 17, 2), *range(20, 97, 4)}), GIB, 16 * GIB, GIB)
LEAST = Level(frozenset({2, 4}), HALF, 2 * GIB, HALF)
PLATFORMS: Mapping[str, Mapping[int, Level]] = {
    "standard-v1": {5: LEAST, 20: FEW, 100: Level(frozenset({*range(2, 17, 2), *range(20, 33, 4)}), GIB, 8 * GIB, GIB)},
    "standard-v2": {5: LEAST, 20: FEW, 50: FEW, 100: Level(ALL.cores - set(range(84, 97, 4)), GIB, 16 * GIB, GIB)},
    "standard-v3": {20: FEW, 50: FEW, 100: ALL},
    "highfreq-v3": {100: Level(ALL.cores - set(range(60, 97, 4)), GIB, 16 * GIB, GIB)},
}
"""By platform, and by the share of the cores in per cent."""


def size_problem(platform: str, cores: int, fraction: int, memory: int) -> str | None:
    """Return why no machine of that size exists, with the sizes that do; None where there may be one."""
    levels = PLATFORMS.get(platform)
    if levels is None:
        return None
    level = levels.get(fraction)
    if level is None:
        return f"{platform} has cores at {_list(sorted(levels))} per cent, and not at {fraction}"
    if cores not in level.cores:
        return f"{platform} has {_list(sorted(level.cores))} cores at {fraction} per cent, and not {cores}"
    memories = level.memories(cores)
    if memory in memories:
        return None
    smallest, largest, step = (_gigabytes(size) for size in (memories[0], memories[-1], memories[1] - memories[0]))
    return (
        f"{cores} cores at {fraction} per cent have from {smallest} to {largest} of memory in steps of {step}, "
        f"and not {_gigabytes(memory)}"
    )


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _gigabytes(size: int) -> str:
    return f"{size / GIB:g}G"
