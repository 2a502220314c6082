"""Drills on the smallest environment: several in a row with verdicts and pictures, and what an interruption leaves."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from samovar.core.errors import ExitCode
from samovar.drills.journal import Journal
from tests.support.http_load import get
from tests.support.tool import EDGES, Cli, rolled_out
from tests.support.wait import wait_until

SLOW = ("--rate", "10", "--yes")
LATE = 0.05
"""Seconds of a late answer on average: a process that runs for 10 of 200 ms makes users wait for 100."""


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
    """Return whether the first machine's init is frozen, as its control group says."""
    pid = cli.pid("dev-nginx-1")
    group = Path(f"/proc/{pid}/cgroup").read_text().rpartition("0::")[2].strip()
    states = [Path(f"/sys/fs/cgroup/{unified}{group}/cgroup.events") for unified in ("unified", ".")]
    return any("frozen 1" in state.read_text() for state in states if state.exists())


def mean_answer(address: str, machine: str) -> float:
    """The mean seconds of ten answers of a machine.

    Pauses of random length keep the questions apart: asked for one after another, all ten fit in one of the moments in
    which a slow program runs.
    """
    seconds: list[float] = []
    while len(seconds) < 10:
        time.sleep(random.uniform(0, 0.2))  # noqa: S311 - a pause, not a secret
        began = time.monotonic()
        if get(address) == machine:
            seconds.append(time.monotonic() - began)
    return sum(seconds) / len(seconds)


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


def test_a_program_that_is_slow_answers_late_until_that_is_put_back_and_no_answer_fails(cli: Cli) -> None:
    address = cli.address("dev")
    with ThreadPoolExecutor(max_workers=1) as pool:
        drilling = pool.submit(cli.json, "drill", "dev", "slow", "nginx-1", "nginx.service", *SLOW)
        wait_until("answers come late", lambda: mean_answer(address, "nginx-1") > LATE or drilling.done(), timeout=60)
        assert not drilling.done()
        report = drilling.result()
    assert (report["failed"], report["healed_by"]) == (0, ["drill"])
    assert report["seconds_to_put_back"] >= 10
    wait_until("answers come at once", lambda: mean_answer(address, "nginx-1") < LATE, timeout=60)


def test_an_interrupted_drill_puts_back_its_fault_at_once(cli: Cli) -> None:
    running = begin(cli, "freeze", "nginx-1")
    running.send_signal(signal.SIGINT)
    _, messages = running.communicate(timeout=60)
    assert running.returncode == ExitCode.INTERRUPTED
    assert "dev-nginx-1: put back (freeze)" in messages
    assert journal_of(cli).read() == ()
    assert not processes_wait(cli)


def test_the_next_drill_puts_back_the_fault_of_a_killed_one(cli: Cli) -> None:
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
