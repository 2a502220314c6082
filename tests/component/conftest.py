"""Fixtures of the contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from samovar.cloud.session import Session
from tests.support.network_lab import NetworkLab, network_lab
from tests.support.simulated import RunningCloud
from tests.support.tool import Cli


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[RunningCloud]:
    """The local cloud's API on a simulated host."""
    with RunningCloud(tmp_path / "home").serving() as running:
        yield running


@pytest.fixture
def session(cloud: RunningCloud) -> Session:
    """The session of that cloud's operator."""
    return cloud.session()


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """The tool, with a local cloud of its own that is taken down afterwards."""
    tool = Cli(tmp_path / "home", tmp_path / "envs")
    yield tool
    tool.run("cloud", "down", check=False)


@pytest_asyncio.fixture
async def lab(tmp_path: Path) -> AsyncIterator[NetworkLab]:
    """Yield a lab of networks on the real kernel."""
    async with network_lab(tmp_path) as lab:
        yield lab
