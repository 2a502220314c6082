"""Fixtures of the contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.lab import Lab, laboratory
from tests.support.simulated import RunningCloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[RunningCloud]:
    """The local cloud's API on a simulated host."""
    with RunningCloud(tmp_path / "home").serving() as running:
        yield running


@pytest_asyncio.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Networks on the real kernel."""
    async with laboratory(tmp_path) as made:
        yield made
