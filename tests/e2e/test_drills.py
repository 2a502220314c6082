"""Drills on the smallest environment: several in a row with verdicts and pictures, and what an interruption leaves."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from samovar.core.errors import ExitCode
from samovar.drills.journal import Journal
from tests.support.http_load import get
from tests.support.tool import EDGES, Cli, rolled_out
from tests.support.wait import wait_until

FROZEN = "freeze nginx-1"
SLOW = ("--rate", "10", "--yes")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with rolled_out(tmp_path_factory.mktemp("drills"), EDGES) as tool:
        yield tool


def journal_of(cli: Cli) -> Journal:
    return Journal(cli.endpoint()["folder_id"], "dev")


def begin(cli: Cli, *drill: str) -> subprocess.Popen[str]:
    """A drill that has broken something."""
    running = cli.start("drill", "dev", *drill, *SLOW)
    wait_until("something is broken", lambda: journal_of(cli).read() or None, timeout=60)
    return running


def processes_wait(cli: Cli) -> bool:
    """Whether the first machine's init is frozen, as its control group says."""
    pid = cli.pid("dev", "dev-nginx-1")
    group = Path(f"/proc/{pid}/cgroup").read_text().rpartition("0::")[2].strip()
    states = [Path(f"/sys/fs/cgroup/{unified}{group}/cgroup.events") for unified in ("unified", ".")]
    return any("frozen 1" in state.read_text() for state in states if state.exists())


def test_several_drills_have_a_verdict_and_a_picture_each(cli: Cli, tmp_path: Path) -> None:
    drills = ("crash", "nginx", "nginx.service", "front-drain", "inner-drain")
    done = cli.run("drill", "dev", *drills, *SLOW, "--report", str(tmp_path / "report"), check=False)
    assert done.code in {ExitCode.OK, ExitCode.SLO_VIOLATED}
    assert "inner-drain" in done.stdout
    assert "dev has no group of role:inner" in done.stdout
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "drill-dev-crash.svg",
        "drill-dev-front-drain.svg",
        "drills-dev.html",
    }
    assert journal_of(cli).read() == ()


def test_a_machine_that_loses_its_power_is_replaced_by_its_group(cli: Cli) -> None:
    report = cli.json("drill", "dev", "kill", "nginx", *SLOW)
    assert "group" in report["healed_by"]
    assert report["verdict"] in {"held", "degraded"}
    assert report["seconds_to_recover"] < 60


def test_what_an_interrupted_drill_has_broken_is_put_back_at_once(cli: Cli) -> None:
    running = begin(cli, "freeze", "nginx-1")
    running.send_signal(signal.SIGINT)
    _, messages = running.communicate(timeout=60)
    assert running.returncode == ExitCode.INTERRUPTED
    assert "dev-nginx-1: put back (freeze)" in messages
    assert journal_of(cli).read() == ()
    assert not processes_wait(cli)


def test_what_a_killed_drill_has_broken_is_put_back_by_the_next_one(cli: Cli) -> None:
    running = begin(cli, "hang", "nginx-1", "nginx.service")
    second = cli.run("drill", "dev", "kill", "nginx", "--yes", check=False)
    assert (second.code, "another drill of dev runs" in second.stderr) == (ExitCode.LOCKED, True)
    running.kill()
    running.communicate(timeout=60)
    assert journal_of(cli).read()
    restored = cli.run("drill", "dev", "--restore")
    assert "dev-nginx-1: put back (hang), which an interrupted drill had broken" in restored.stderr
    assert journal_of(cli).read() == ()
    address = cli.address("dev")
    wait_until("both answer", lambda: {get(address) for _ in range(30)} == {"nginx-1", "nginx-2"}, timeout=60)


def test_a_production_environment_is_broken_by_its_name_alone(cli: Cli) -> None:
    cli.edit("dev", "cloud: local", "cloud: local\nproduction: true")
    refused = cli.run("drill", "dev", "kill", "nginx", "--yes", check=False)
    assert (refused.code, "--confirm dev" in refused.stderr) == (ExitCode.REFUSED, True)
    cli.edit("dev", "production: true\n", "")
