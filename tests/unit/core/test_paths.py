"""Root runs nothing from a folder that another user can change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from samovar.cli.main import main
from samovar.core.errors import ExitCode, HostError
from samovar.core.paths import require_own

OTHER_USER = 65534


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of another user's, as root sees it."""
    folder = tmp_path / "foreign"
    folder.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(folder, OTHER_USER, OTHER_USER)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return folder


@pytest.mark.parametrize("below", ["", "home", "deep/er/home"])
def test_root_takes_no_folder_below_one_of_another_users(foreign: Path, below: str) -> None:
    with pytest.raises(HostError, match=f"{foreign} belongs to ") as error:
        require_own(foreign / below)
    assert "sudo -H" in error.value.remedy


def test_a_link_does_not_hide_it(foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(foreign)
    with pytest.raises(HostError, match="belongs to"):
        require_own(tmp_path / "link" / "home")


def test_folders_of_root_are_accepted_and_other_users_may_use_any_folder(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_own(Path("/usr/share/none"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    require_own(foreign)


@pytest.mark.parametrize("variable", ["", "XDG_CACHE_HOME"])
def test_no_daemon_starts_there(
    foreign: Path, variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if variable:
        monkeypatch.setenv(variable, str(foreign))
    home = Path("/usr/share/none") if variable else foreign / "home"
    assert main(["--home", str(home), "cloud", "up"]) == ExitCode.HOST
    assert f"{foreign} belongs to" in capsys.readouterr().err
    assert not home.exists()
