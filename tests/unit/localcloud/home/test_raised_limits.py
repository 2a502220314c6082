"""Limits of the kernel are raised while a cloud is up, and given back with the last one, on a made-up /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.core.kernel import INOTIFY, LIMITS, MACHINES
from samovar.localcloud.home.raised_limits import give_back_limits, raise_limits

RAISED = INOTIFY.need(MACHINES)


class Host:
    """A host with one limit and the claims of its clouds."""

    def __init__(self, folder: Path) -> None:
        self.claims, self.proc = folder / "claims", folder / "proc"
        self.claims.mkdir()
        INOTIFY.file(self.proc).parent.mkdir(parents=True)
        self.set(128)

    def set(self, value: int) -> None:
        INOTIFY.file(self.proc).write_text(f"{value}\n")

    def value(self) -> int | None:
        return INOTIFY.value(self.proc)

    def up(self, number: int = 1) -> None:
        (self.claims / str(number)).write_text("/home")
        raise_limits(self.claims, self.proc)

    def down(self, number: int = 1) -> None:
        (self.claims / str(number)).unlink()
        give_back_limits(self.claims, self.proc)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_limit_is_raised_and_given_back(host: Host) -> None:
    host.up()
    assert host.value() == RAISED
    host.down()
    assert host.value() == 128
    assert not [file for file in host.claims.iterdir() if file.name != "limits.lock"]


def test_every_limit_of_the_table_is_raised_and_given_back(host: Host) -> None:
    for limit in LIMITS:
        limit.file(host.proc).parent.mkdir(parents=True, exist_ok=True)
        limit.file(host.proc).write_text("1\n")
    host.up()
    assert {limit.name: limit.value(host.proc) for limit in LIMITS} == {
        limit.name: limit.need(MACHINES) for limit in LIMITS
    }
    host.down()
    assert {limit.value(host.proc) for limit in LIMITS} == {1}


def test_a_daemon_that_was_killed_leaves_the_former_value_to_the_next(host: Host) -> None:
    host.up()
    host.up()
    host.down()
    assert host.value() == 128


def test_the_last_cloud_restores_the_limits(host: Host) -> None:
    host.up(1)
    host.up(2)
    host.down(1)
    assert host.value() == RAISED
    host.down(2)
    assert host.value() == 128


@pytest.mark.parametrize("value", [RAISED + 1, 1 << 20, 512])
def test_a_limit_that_another_program_has_set_meanwhile_is_kept(host: Host, value: int) -> None:
    host.up()
    host.set(value)
    host.down()
    assert host.value() == value


def test_a_limit_that_is_high_enough_is_left_alone(host: Host) -> None:
    host.set(1 << 20)
    host.up()
    host.down()
    assert host.value() == 1 << 20


def test_a_limit_that_cannot_be_raised_is_ignored(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def refused(self: Path, data: str) -> int:
        if self == INOTIFY.file(host.proc):
            raise PermissionError(1, "Operation not permitted")
        return write(self, data)

    monkeypatch.setattr(Path, "write_text", refused)
    host.up()
    host.down()
    assert host.value() == 128
