"""The expected length of a freeze, from the rate of the last copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from samovar.localcloud.compute.snapshots.model import COPY_RATE, expected_freeze, remember_freeze
from samovar.localcloud.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "store.db")) as store:
        yield store


def test_the_rate_of_a_copy_tells_how_long_the_next_one_takes(store: Store) -> None:
    remember_freeze(store, 1000, 10.05)
    assert expected_freeze(store, 500) == pytest.approx(5.1)


def test_an_empty_disk_that_took_its_time_tells_nothing_of_the_next_one(store: Store) -> None:
    before = expected_freeze(store, 10**9)
    remember_freeze(store, 0, 3.0)
    assert expected_freeze(store, 10**9) == before


def test_a_rate_of_zero_that_an_earlier_version_kept_is_none(store: Store) -> None:
    before = expected_freeze(store, 10**9)
    store.note(*COPY_RATE, 0.0)
    assert expected_freeze(store, 10**9) == before
