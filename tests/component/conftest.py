"""Fixtures of the contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.network_lab import NetworkLab, network_lab
from tests.support.simulated import RunningCloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[RunningCloud]:
    """The local cloud's API on a simulated host."""
    with RunningCloud(tmp_path / "home").serving() as running:
        yield running


@pytest_asyncio.fixture
async def lab(tmp_path: Path) -> AsyncIterator[NetworkLab]:
    """Networks on the real kernel."""
    async with network_lab(tmp_path) as lab:
        yield lab
