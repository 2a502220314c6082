"""Fixtures of the tests of commands: the whole service in a cloud whose host is simulated."""

from __future__ import annotations

import pytest

from samovar.project.environment import Environment
from tests.support.checkout import environment
from tests.support.service import Service
from tests.support.simulated import RunningCloud


@pytest.fixture
def service(cloud: RunningCloud) -> Service:
    return Service(cloud)


@pytest.fixture
def dev() -> Environment:
    """The environment `dev` of the checkout."""
    return environment("dev")
