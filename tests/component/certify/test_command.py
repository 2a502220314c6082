"""The command `certify` as a user runs it: without root, by a service account's key, on a cloud that others run."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from samovar.certify.cleanup import leftovers
from samovar.certify.comparison import HERE, Aspect, Difference
from samovar.certify.report import Report, read
from samovar.core.errors import ExitCode
from samovar.core.waiting import Pending, wait_for
from tests.support.remote_user import RemoteUser
from tests.support.tool import TIMEOUT, Cli

SPEED = "8"
LUCKY_SEED = "334"
"""Of the profile's random numbers: the first twelve operations of each method succeed, and the first hundred starts."""
HEEDING_CTRL_C = ("env", "--default-signal=INT")
"""A test may run where Ctrl-C is ignored."""


@contextmanager
def second_cloud(*options: str) -> Iterator[RemoteUser]:
    """Yield a user of a cloud with those options."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-certify-"))
    folder.chmod(0o755)
    remote = RemoteUser(Cli(folder / "home", folder / "none"), folder / "user")
    remote.owner.run("cloud", "up", "--machines", "simulated", *options)
    try:
        remote.set_up()
        yield remote
    finally:
        remote.owner.run("cloud", "down", check=False)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def user() -> Iterator[RemoteUser]:
    """Yield a user of one cloud for the module: each test leaves its folder as empty as it was."""
    with second_cloud("--speed", SPEED) as remote:
        yield remote


@contextmanager
def under_way(user: RemoteUser) -> Iterator[subprocess.Popen[str]]:
    """A run that has made its groups."""
    process = subprocess.Popen(
        [*HEEDING_CTRL_C, *user.command("certify", "--yes", "--report", str(user.folder / "report"))],
        env=user.environment(),
        cwd="/",
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        wait_for("its groups", lambda: _has_groups(user) or _running(process), timeout=TIMEOUT)
        yield process
    finally:
        process.kill()
        process.communicate()


def _running(process: subprocess.Popen[str]) -> Pending:
    assert process.poll() is None, process.communicate()
    return Pending("none yet")


def _has_groups(user: RemoteUser) -> bool:
    return any(name.startswith("instance-group") for name in leftovers(user.session()))


def test_a_user_without_root_gets_a_report_that_he_can_send(user: RemoteUser) -> None:
    report = user.folder / "report"
    done = user.run("certify", "--yes", "--every", "0.1s", "--report", str(report), "-o", "json", check=False)
    shown = json.loads(done.stdout)
    assert shown["differences"] == []
    assert done.code == ExitCode.OK
    assert "5 machines" in done.stderr
    assert shown == json.loads((report / "certify.json").read_text())
    key = json.loads((user.folder / "key.json").read_text())
    for file in (report / "certify.json", report / "certify.html"):
        text = file.read_text()
        for private in (key["id"], key["service_account_id"], user.session().folder_id, "10.66."):
            assert private not in text


def test_a_cloud_like_yandex_differs_in_its_failures_alone() -> None:
    """A failure on request is found; none comes by chance."""
    with second_cloud("--like", "yandex", "--pace", "0.02", "--seed", LUCKY_SEED, "--speed", "4") as user:
        report = _run_with_a_fault(user)
    assert not report.run.stopped
    fault = Difference(Aspect.ERROR, HERE, ("InstanceService.GetSerialPortOutput", "INTERNAL"))
    assert fault in report.differences
    assert [str(each) for each in report.differences if each.aspect is not Aspect.ERROR] == []


def _run_with_a_fault(user: RemoteUser) -> Report:
    fault = ("--method", "InstanceService/GetSerialPortOutput", "--code", "INTERNAL", "--times", "1")
    user.owner.run("cloud", "fault", "add", *fault)
    done = user.run("certify", "--yes", "--every", "0.1s", "--report", str(user.folder / "report"), check=False)
    assert done.code == ExitCode.DIFFERENT
    assert leftovers(user.session()) == ()
    return read(user.folder / "report/certify.json")


def test_off_a_terminal_nothing_is_created_without_confirmation(user: RemoteUser) -> None:
    done = user.run("certify", check=False)
    assert done.code == ExitCode.REFUSED
    assert "network load balancers" in done.stderr
    assert leftovers(user.session()) == ()


def test_ctrl_c_leaves_nothing(user: RemoteUser) -> None:
    with under_way(user) as process:
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=TIMEOUT)
    assert process.returncode == ExitCode.INTERRUPTED, messages
    assert leftovers(user.session()) == ()


def test_a_run_removes_the_resources_of_a_killed_run_and_ends_in_time(user: RemoteUser) -> None:
    with under_way(user) as process:
        process.kill()
        process.wait()
    assert leftovers(user.session())
    report = user.folder / "report"
    done = user.run("certify", "--yes", "--timeout", "3s", "--report", str(report), check=False)
    assert done.code == ExitCode.DIFFERENT, done.stderr
    assert "has taken the 3 s that it was given" in json.loads((report / "certify.json").read_text())["run"]["stopped"]
    assert leftovers(user.session()) == ()
