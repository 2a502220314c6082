"""The set-up of a checkout, tried on a copy of the script with locks that ask for nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.checkout import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "here/scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/setup.sh", tmp_path / "here/scripts")
    (tmp_path / "here/requirements-dev.lock").touch()
    return tmp_path / "here"


def setup(checkout: Path) -> str:
    ended = subprocess.run(
        ["bash", checkout / "scripts/setup.sh"], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def test_setup_names_what_works_on_another_system_than_debian(checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "dirname", "flock"):
        (programs / name).symlink_to(str(shutil.which(name)))
    ended = subprocess.run(
        ["bash", checkout / "scripts/setup.sh"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": str(programs)},
    )
    assert (ended.returncode, "pipx install" in ended.stderr) == (7, True), ended.stderr


@pytest.mark.parametrize("target", ["there", "gone"])
def test_setup_replaces_a_link_to_another_virtual_environment(checkout: Path, target: str) -> None:
    other = checkout.parent / "there"
    other.mkdir()
    (other / "built").write_text("Python of another checkout")
    (checkout / ".venv").symlink_to(checkout.parent / target)
    setup(checkout)
    assert not (checkout / ".venv").is_symlink()
    assert subprocess.check_output([checkout / ".venv/bin/python", "-c", "print(1)"]) == b"1\n"
    assert [path.name for path in other.iterdir()] == ["built"]
    assert setup(checkout) == ""
