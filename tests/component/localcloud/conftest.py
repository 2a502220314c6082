"""Fixtures of the tests of the local cloud's API."""

from __future__ import annotations

import pytest

from tests.support.calls import SubnetOfNetwork, create_subnet
from tests.support.group_client import Groups
from tests.support.simulated import RunningCloud


@pytest.fixture
def groups(cloud: RunningCloud) -> Groups:
    return Groups(cloud)


@pytest.fixture
def place(cloud: RunningCloud) -> SubnetOfNetwork:
    return create_subnet(cloud)


@pytest.fixture
def subnet_id(place: SubnetOfNetwork) -> str:
    return place.subnet_id
