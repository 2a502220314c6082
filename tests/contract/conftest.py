"""Fixtures of the contract tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.simulated import RunningCloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[RunningCloud]:
    """The local cloud's API on a simulated host."""
    with RunningCloud(tmp_path / "home").serving() as running:
        yield running
