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


def test_the_rate_of_a_copy_predicts_the_next_freeze(store: Store) -> None:
    remember_freeze(store, 1000, 10.05)
    assert expected_freeze(store, 500) == pytest.approx(5.1)


def test_a_slow_copy_of_an_empty_disk_predicts_nothing(store: Store) -> None:
    before = expected_freeze(store, 10**9)
    remember_freeze(store, 0, 3.0)
    assert expected_freeze(store, 10**9) == before


def test_a_rate_of_zero_in_the_store_is_no_rate(store: Store) -> None:
    before = expected_freeze(store, 10**9)
    store.note(*COPY_RATE, 0.0)
    assert expected_freeze(store, 10**9) == before
