"""The choice of Packer: the user's own if it fits, else the pinned one, else an error with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.core.errors import HostError
from samovar.core.go_program import demand_go
from samovar.images.builders.packer import toolchain


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def program(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def packer(file: Path, version: str, plugin: str = "") -> Path:
    listed = f"/x/{toolchain.SOURCE}/packer-plugin-yandex_v{plugin}_x5.0_linux_amd64" if plugin else ""
    return program(file, f'case $1 in version) echo "Packer v{version}" ;; plugins) echo "{listed}" ;; esac')


def test_the_users_own_with_its_own_plugin_needs_nothing_built(path: Path) -> None:
    own = packer(path / "packer", "1.11.2", "1.1.3")
    chosen = toolchain.find_toolchain()
    assert (chosen.packer, chosen.version, chosen.plugins) == (own, "1.11.2", None)
    assert "PACKER_PLUGIN_PATH" not in chosen.environment()


def test_a_built_plugin_goes_with_the_users_own_packer(path: Path) -> None:
    packer(path / "packer", "1.9.4")
    tool = toolchain.plugin_tool()
    program(tool.program, "exit 0")
    chosen = toolchain.find_toolchain()
    assert chosen.plugins == tool.folder
    assert chosen.environment()["PACKER_PLUGIN_PATH"] == str(tool.folder)
    assert len(tool.program.with_name(f"{tool.program.name}_SHA256SUM").read_text()) == 64


@pytest.mark.parametrize("version", ["1.8.7", "2.0.0"])
def test_a_packer_of_another_version_is_replaced_by_the_pinned_one(path: Path, version: str) -> None:
    packer(path / "packer", version, "1.1.2")
    with pytest.raises(HostError, match=rf"is Packer {version}; it takes 1\.9\.4"):
        toolchain.find_toolchain()
    pinned = packer(toolchain.PACKER.program, "1.9.4", "1.1.2")
    assert toolchain.find_toolchain().packer == pinned


def test_another_program_of_that_name_is_not_packer(path: Path) -> None:
    program(path / "packer", "echo 0 0")
    with pytest.raises(HostError, match="of an unknown version"):
        toolchain.find_toolchain()


@pytest.mark.usefixtures("path")
def test_a_missing_packer_is_an_error_with_a_remedy() -> None:
    with pytest.raises(HostError, match=r"no Packer on this machine\n  remedy: make clients"):
        toolchain.find_toolchain()


def test_no_plugin_and_one_too_old_are_the_same(path: Path) -> None:
    packer(path / "packer", "1.9.4", "1.0.9")
    with pytest.raises(HostError, match="no plugin for Yandex Cloud"):
        toolchain.find_toolchain()


def test_a_go_that_is_missing_or_too_old_is_named(path: Path) -> None:
    with pytest.raises(HostError, match="no Go on this machine"):
        demand_go()
    program(path / "go", "echo go1.19.8")
    with pytest.raises(HostError, match=r"too old: go1\.19\.8"):
        demand_go()


def test_the_plugins_name_follows_its_pin() -> None:
    assert "packer-plugin-yandex_v1.1.2_x5.0_linux_amd64" in str(toolchain.plugin_tool().program)
