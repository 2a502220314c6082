"""The health page of the database machine, from the states of its units."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.checkout import ROOT

PROGRAM = ROOT / "samovar/library/images/postgres/rootfs/usr/lib/samovar/health.py"


@pytest.fixture(scope="module")
def health() -> ModuleType:
    spec = importlib.util.spec_from_file_location("postgres_health", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def systemctl_output(data: str, server: str) -> str:
    """Return what `systemctl show` prints of the two units."""
    return f"ActiveState={data}\nSubState=exited\nNRestarts=0\n\nActiveState=any\nSubState={server}\nNRestarts=0\n"


@pytest.mark.parametrize("server", ["running", "start", "start-pre", "start-post", "reload", "reload-notify"])
def test_a_database_that_starts_or_recovers_is_healthy(health: ModuleType, server: str) -> None:
    assert health.unhealthy_reason(*health.properties(systemctl_output("active", server)), 2) == ""


@pytest.mark.parametrize(
    ("data", "server"),
    [
        ("active", "auto-restart"),
        ("active", "failed"),
        ("active", "stop-sigterm"),
        ("failed", "dead"),
        ("activating", "running"),
    ],
)
def test_a_database_without_data_or_that_ended_is_unhealthy(
    health: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: str, server: str
) -> None:
    monkeypatch.setattr(health, "DATA_MESSAGE", tmp_path / "pgdata")
    units = health.properties(systemctl_output(data, server))
    assert health.unhealthy_reason(*units, 0) == f"{data}/{server}: starting"
    (tmp_path / "pgdata").write_text("no disk\n")
    assert health.unhealthy_reason(*units, 0) == f"{data}/{server}: no disk"


@pytest.mark.parametrize("server", ["running", "start", "start-pre", "auto-restart"])
def test_a_server_that_ends_again_and_again_is_unhealthy_in_every_state(health: ModuleType, server: str) -> None:
    """It is asked at any moment, and a group counts failed checks in a row."""
    reason = health.unhealthy_reason(*health.properties(systemctl_output("active", server)), 3)
    assert reason == f"active/{server}: the server ended 3 times in 60 s"


@pytest.mark.parametrize(
    ("folder", "options", "reason"),
    [
        ("/data", "rw,errors=remount-ro", ""),
        ("/data", "ro,errors=remount-ro", "damaged"),
        ("/data", "rw,errors=remount-ro,emergency_ro", "damaged"),
        ("/media", "ro", ""),
    ],
)
def test_a_data_disk_that_the_kernel_writes_no_more_is_damaged(
    health: ModuleType, folder: str, options: str, reason: str
) -> None:
    mounts = (
        f"22 1 0:21 / /proc rw - proc proc rw\n90 22 7:2 / {folder} rw,noatime shared:9 - ext4 /dev/vdb {options}\n"
    )
    assert ("damaged" if health.damage(mounts) else "") == reason


def test_ends_count_for_a_minute_and_a_manual_start_is_none(health: ModuleType) -> None:
    ends = health.Ends()
    asked = [(0, 7), (3, 8), (6, 8), (9, 10), (12, 0), (15, 1), (64, 1), (70, 1), (76, 1)]
    assert [ends.lately(restarts, at) for at, restarts in asked] == [0, 1, 1, 3, 3, 4, 3, 1, 0]


@pytest.mark.parametrize("address", ["127.0.0.1", "198.18.235.2", "198.18.248.254", "::ffff:198.18.235.2"])
def test_health_checks_and_the_machine_itself_are_allowed(health: ModuleType, address: str) -> None:
    assert health.is_allowed(address)


@pytest.mark.parametrize("address", ["10.30.0.11", "198.18.236.1", "::1", "::ffff:10.30.0.11"])
def test_other_addresses_are_not_allowed(health: ModuleType, address: str) -> None:
    assert not health.is_allowed(address)
