"""A drill kills the tool in the middle of a rollout: the next one finds the lock of a dead process, and finishes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from samovar.cloud.session import Session
from samovar.core.errors import CloudError
from samovar.deploy.lock import find_lock
from samovar.deploy.read_status import read_status
from samovar.drills.actions import cause_all, restore_all
from samovar.drills.faults import fault_of
from samovar.drills.journal import Breakage, Journal
from samovar.load.client import Target
from samovar.project.drill import load_drill
from tests.support.checkout import ROOT
from tests.support.checkout import environment as load_environment
from tests.support.images import publish_empty
from tests.support.tool import EDGES, Cli

NOWHERE = Target("http://127.66.1.1")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("rollouts")
    tool = Cli(folder / "home", folder / "envs")
    tool.write("dev", EDGES.read_text())
    tool.run("cloud", "up", "--machines", "simulated", "--speed", "10")
    publish_empty(tool.session(), load_environment("dev", tool.envs))
    tool.run("rollout", "dev", "--yes")
    yield tool
    tool.run("cloud", "down", check=False)


def session_with_host(cli: Cli) -> Session:
    """One that may use the admin API, as the tool's own does."""
    return Session(replace(cli.session().access, local=True))


def killed_after(cli: Cli, method: str) -> tuple[Breakage, ...]:
    drill = load_drill(ROOT / "drills", "rollout-killed").with_arguments(["nginx", method])
    session, environment = session_with_host(cli), load_environment("dev", cli.envs)
    return fault_of(drill, session, environment, read_status(session, environment), NOWHERE).breakages


def test_the_lock_of_the_rollout_is_left_and_the_next_rollout_finishes(cli: Cli, tmp_path: Path) -> None:
    session, broken = session_with_host(cli), killed_after(cli, "InstanceGroupService/Update")
    journal = Journal("b1g", "dev", tmp_path)
    journal.write(broken)
    cause_all(session, broken)
    assert find_lock(session, "dev") is not None
    restore_all(session, journal)
    assert find_lock(session, "dev") is None
    assert cli.run("plan", "dev").stdout.strip() == "dev: nothing to do"
    assert cli.status_when("dev", lambda status: status["healthy"])
    assert journal.read() == ()


def test_a_rollout_that_makes_no_such_call_is_an_error(cli: Cli) -> None:
    (broken,) = killed_after(cli, "DiskService/Create")
    with pytest.raises(CloudError, match="ended without a call like DiskService/Create"):
        cause_all(session_with_host(cli), [broken])
    assert cli.run("plan", "dev").stdout.strip() == "dev: nothing to do"
