"""What the database's machine says of itself, by the states of its units."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[2] / "images/postgres-server/rootfs/usr/lib/samovar/health.py"


@pytest.fixture(scope="module")
def health() -> ModuleType:
    spec = importlib.util.spec_from_file_location("postgres_health", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(data: str, server: str) -> str:
    """What `systemctl show` prints of the two units."""
    return f"ActiveState={data}\nSubState=exited\n\nActiveState=whatever\nSubState={server}\n"


@pytest.mark.parametrize("server", ["running", "start", "start-pre", "start-post", "reload", "reload-notify"])
def test_a_database_that_starts_or_recovers_is_well(health: ModuleType, server: str) -> None:
    assert health.why_not(shown("active", server)) == ""


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
def test_one_without_data_or_that_died_is_not_and_says_why(
    health: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: str, server: str
) -> None:
    monkeypatch.setattr(health, "SAYING", tmp_path / "pgdata")
    assert health.why_not(shown(data, server)) == f"{data}/{server}: starting"
    (tmp_path / "pgdata").write_text("no disk\n")
    assert health.why_not(shown(data, server)) == f"{data}/{server}: no disk"


@pytest.mark.parametrize("address", ["127.0.0.1", "198.18.235.2", "198.18.248.254", "::ffff:198.18.235.2"])
def test_the_clouds_checks_and_the_machine_itself_may_ask(health: ModuleType, address: str) -> None:
    assert health.may_ask(address)


@pytest.mark.parametrize("address", ["10.30.0.11", "198.18.236.1", "::1", "::ffff:10.30.0.11"])
def test_nobody_else_may(health: ModuleType, address: str) -> None:
    assert not health.may_ask(address)
