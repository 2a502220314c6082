"""Fixtures of the tests of commands: the whole service in a cloud whose host is simulated."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from samovar.project.environment import Environment
from tests.support.checkout import environment
from tests.support.service import Service
from tests.support.simulated import RunningCloud


@pytest.fixture(autouse=True)
def _cloud_logs_to_stderr() -> Iterator[None]:
    """The cloud is in this process: what it logs must not stand in the output of a command."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def service(cloud: RunningCloud) -> Service:
    return Service(cloud)


@pytest.fixture
def dev() -> Environment:
    """The environment `dev` of the checkout."""
    return environment("dev")
