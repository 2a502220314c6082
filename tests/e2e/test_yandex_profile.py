"""An environment comes up, heals, changes and goes by `cloud up --like yandex`, on a cloud that is slow and late.

A user without root bakes by Packer, rolls out, loses a machine, rolls out anew and destroys, with the time-outs
and retries that the tool has for Yandex Cloud. What fails by chance, an operator repeats, and so does this test.
The image below the one that he bakes is there: tests/e2e/test_packer_builder.py bakes from a public one.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from samovar.core.errors import ExitCode, SamovarError
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.read_status import read_status
from tests.support.checkout import ROOT, environment
from tests.support.packer import toolchain_or_skip
from tests.support.remote_user import RemoteUser
from tests.support.tool import TIMEOUT, Cli, Done

PACE = "0.1"
SEED = "4711"
ATTEMPTS = 3
BY_CHANCE = ("INTERNAL", "Not enough resources")
"""The failures that the profile brings by chance: of an operation, and of a machine's start."""


@pytest.fixture
def user() -> Iterator[RemoteUser]:
    toolchain_or_skip()
    folder = Path(tempfile.mkdtemp(prefix="samovar-like-"))  # pytest's own folders are shut to others
    folder.chmod(0o755)
    user = RemoteUser(Cli(folder / "home", folder / "none"), folder / "user")
    started = user.owner.run("cloud", "up", "--like", "yandex", "--pace", PACE, "--seed", SEED)
    assert f"like yandex, pace {PACE}, seed {SEED}" in started.stderr
    try:
        user.owner.run("bake", "samovar/base")
        user.set_up()
        config = (ROOT / "tests/envs/edges/config.yaml").read_text()
        (user.folder / "envs/dev").mkdir()
        config = config.replace("cloud: local", "cloud: yandex").replace("disk: 5G", "disk: 10G")
        (user.folder / "envs/dev/config.yaml").write_text(config)
        yield user
    finally:
        user.owner.run("cloud", "down", check=False)
        shutil.rmtree(folder)


def test_an_environment_is_rolled_out_and_heals_on_a_slow_and_unreliable_cloud(user: RemoteUser) -> None:
    took = {"bake": _timed(user, "bake", "--env", "dev"), "rollout": _timed(user, "rollout", "dev", "--yes")}
    before = _machines(user)
    assert len(before) == 2
    user.owner.run("cloud", "kill", "dev-nginx-1")
    took["heal"] = _until_healthy(user, lambda machines: machines.keys() == before.keys() and machines != before)
    _edit(user, "core_fraction: 20", "core_fraction: 50")
    took["roll"] = _timed(user, "rollout", "dev", "--yes")
    rolled = _machines(user)
    assert not set(rolled.values()) & set(before.values())
    took["destroy"] = _timed(user, "destroy", "dev", "--yes", "--delete-data", "--confirm", "dev")
    assert _machines(user) == {}
    assert took["rollout"] > 45 * float(PACE), took
    assert took["heal"] > 45 * float(PACE), took
    assert sum(took.values()) < TIMEOUT, took


def _timed(user: RemoteUser, *command: str) -> float:
    """The seconds that a command takes; one that failed by chance is given again, as its message says."""
    began = time.monotonic()
    for attempt in range(ATTEMPTS):
        done = user.run(*command, check=False)
        if done.code == ExitCode.OK:
            return time.monotonic() - began
        assert attempt < ATTEMPTS - 1, done.stderr
        assert _by_chance(done), done.stderr
    raise AssertionError


def _by_chance(done: Done) -> bool:
    return any(reason in done.stderr for reason in BY_CHANCE)


def _edit(user: RemoteUser, old: str, new: str) -> None:
    file = user.folder / "envs/dev/config.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def _machines(user: RemoteUser) -> dict[str, str]:
    """Return ids by name."""
    return user.owner.instance_ids()


def _until_healthy(user: RemoteUser, holds: Callable[[dict[str, str]], bool]) -> float:
    """The seconds until the environment is healthy, with machines for which it holds."""
    began, session, dev = time.monotonic(), user.session(), environment("dev", user.folder / "envs")

    def healthy() -> bool | Pending:
        try:
            status = read_status(session, dev)
        except SamovarError as error:
            return Pending(str(error))
        return True if status.healthy and holds(_machines(user)) else Pending(str(status))

    wait_for("dev is healthy", healthy, timeout=TIMEOUT, ceiling=1.0)
    return time.monotonic() - began
