"""Fixtures and options of all tests. Fixtures that make clouds and machines stand in tests/component and tests/e2e."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

import samovar  # noqa: F401 - before gRPC, which it sets up
from samovar.core.constants import GIB
from tests.support import failure_logs

FOLDERS = ("e2e", "component", "lint", "unit")
ENVIRONMENT_MEMORY = 2 * GIB
"""What a module's machines and their clients take at most."""

# Time says nothing about a property: the machine may be busy.
hypothesis.settings.register_profile("samovar", deadline=None)
hypothesis.settings.load_profile("samovar")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    real = [item for item in items if {"component", "e2e"} & set(item.path.parts)]
    for item in real:
        item.add_marker(pytest.mark.e2e)
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """Put long modules first, so that none of them runs alone at the end; short ones fill the gaps."""
    folder = item.path.relative_to(item.config.rootpath / "tests").parts[0]
    return 0 if item.get_closest_marker("long") else 1 + FOLDERS.index(folder)


def pytest_xdist_auto_num_workers() -> int:
    """Two for each processor, where there is memory for as many: tests wait for machines as long as they work."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(2 * len(os.sched_getaffinity(0)), memory // ENVIRONMENT_MEMORY))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse tests of real machines without root, and do not skip them: a green run has run them."""
    if os.geteuid() and any(item.get_closest_marker("e2e") for item in session.items):
        raise pytest.UsageError("these tests make real machines, which needs root; `make lint unit` runs the others")


def pytest_runtest_setup() -> None:
    failure_logs.forget_folders()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the logs of a failed test of real machines, and name their folder in its report."""
    report = yield
    if report.failed and item.get_closest_marker("e2e"):
        below = item.config.stash[EVIDENCE]
        folder = below / "evidence" / re.sub(r"[^\w.-]+", "-", item.nodeid)[-150:]
        if files := failure_logs.collect(below, folder):
            report.sections.append(("evidence", failure_logs.report(files, folder)))
    return report


EVIDENCE = pytest.StashKey[Path]()


@pytest.fixture(scope="session", autouse=True)
def _evidence(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Look for homes below the folder in which tests make them."""
    request.config.stash[EVIDENCE] = tmp_path_factory.getbasetemp()
