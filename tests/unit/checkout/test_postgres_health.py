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
    return f"ActiveState={data}\nSubState=exited\n\nActiveState=whatever\nSubState={server}\n"


@pytest.mark.parametrize("server", ["running", "start", "start-pre", "start-post", "reload", "reload-notify"])
def test_a_database_that_starts_or_recovers_is_healthy(health: ModuleType, server: str) -> None:
    assert health.unhealthy_reason(systemctl_output("active", server)) == ""


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
    assert health.unhealthy_reason(systemctl_output(data, server)) == f"{data}/{server}: starting"
    (tmp_path / "pgdata").write_text("no disk\n")
    assert health.unhealthy_reason(systemctl_output(data, server)) == f"{data}/{server}: no disk"


@pytest.mark.parametrize("address", ["127.0.0.1", "198.18.235.2", "198.18.248.254", "::ffff:198.18.235.2"])
def test_health_checks_and_the_machine_itself_are_allowed(health: ModuleType, address: str) -> None:
    assert health.is_allowed(address)


@pytest.mark.parametrize("address", ["10.30.0.11", "198.18.236.1", "::1", "::ffff:10.30.0.11"])
def test_other_addresses_are_not_allowed(health: ModuleType, address: str) -> None:
    assert not health.is_allowed(address)
