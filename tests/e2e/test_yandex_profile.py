"""An environment comes up, heals, changes and goes by `cloud up --like yandex`, on a cloud that is slow and late.

A user without root bakes by Packer, rolls out, loses a machine, rolls out anew and destroys, with the time-outs
and retries that the tool has for Yandex Cloud. What fails by chance, an operator repeats, and so does this test.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from samovar.core.errors import ExitCode
from samovar.core.waiting import Pending, wait_for
from tests.support.checkout import ROOT
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
        user.set_up()
        config = (ROOT / "tests/envs/edges/config.yaml").read_text()
        (user.folder / "envs/dev").mkdir()
        config = config.replace("cloud: local", "cloud: yandex").replace("disk: 5G", "disk: 10G")
        (user.folder / "envs/dev/config.yaml").write_text(config)
        yield user
    finally:
        user.owner.run("cloud", "down", check=False)
        shutil.rmtree(folder)


def test_an_environment_lives_on_a_cloud_that_is_slow_late_and_unreliable(user: RemoteUser) -> None:
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
    """Ids by name."""
    return {machine["name"]: machine["id"] for machine in user.owner.json("cloud", "status")["machines"]}


def _until_healthy(user: RemoteUser, holds: Callable[[dict[str, str]], bool]) -> float:
    """The seconds until the environment is healthy, with machines for which it holds."""
    began = time.monotonic()

    def healthy() -> bool | Pending:
        done = user.json("status", "dev")
        return True if done["healthy"] and holds(_machines(user)) else Pending(str(done))

    wait_for("dev is healthy", healthy, timeout=TIMEOUT, ceiling=1.0)
    return time.monotonic() - began
