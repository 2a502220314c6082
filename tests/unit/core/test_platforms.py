"""The sizes of machines are those of Yandex Cloud's table of performance levels."""

from __future__ import annotations

import pytest

from samovar.core.constants import GIB
from samovar.core.platforms import PLATFORMS, size_problem


@pytest.mark.parametrize(
    ("platform", "cores", "fraction", "gigabytes"),
    [
        ("standard-v1", 2, 5, 1),
        ("standard-v2", 4, 5, 1),
        ("standard-v2", 2, 5, 0.5),
        ("standard-v2", 80, 100, 1280),
        ("standard-v3", 2, 20, 1),
        ("standard-v3", 96, 100, 576),
        ("highfreq-v3", 56, 100, 56),
        ("amd-v1", 128, 100, 768),
        ("gpu-standard-v3", 8, 100, 96),
    ],
)
def test_sizes_that_exist(platform: str, cores: int, fraction: int, gigabytes: float) -> None:
    assert size_problem(platform, cores, fraction, int(gigabytes * GIB)) is None


@pytest.mark.parametrize(
    ("platform", "cores", "fraction", "gigabytes", "message"),
    [
        ("standard-v1", 4, 5, 1, "4 cores at 5 per cent have 2G, 4G, 6G, 8G of memory, and not 1G"),
        ("standard-v2", 2, 5, 1.5, "2 cores at 5 per cent have 0.5G, 1G, 2G, 3G, 4G of memory, and not 1.5G"),
        ("standard-v3", 2, 5, 1, "standard-v3 has cores at 20, 50, 100 per cent, and not at 5"),
        ("standard-v3", 6, 20, 6, "standard-v3 has 2, 4 cores at 20 per cent, and not 6"),
        ("standard-v3", 96, 100, 640, "and not 640G"),
        ("highfreq-v3", 60, 100, 60, "56 cores at 100 per cent, and not 60"),
    ],
)
def test_sizes_that_do_not_are_refused_with_those_that_do(
    platform: str, cores: int, fraction: int, gigabytes: float, message: str
) -> None:
    assert message in (size_problem(platform, cores, fraction, int(gigabytes * GIB)) or "")


def test_no_number_of_cores_has_two_lists_of_memory() -> None:
    for shares in PLATFORMS.values():
        for levels in shares.values():
            cores = [number for level in levels for number in level.cores]
            assert len(cores) == len(set(cores))
