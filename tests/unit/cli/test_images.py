"""The range from which the machine of Packer accepts SSH, and what `images --prune` deletes on this host."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from samovar.cli.context import Tool
from samovar.cli.main import main
from samovar.core.errors import ExitCode
from samovar.images import publish
from samovar.images.builders.packer import builder
from tests.support.checkout import ROOT
from tests.support.tool import EDGES

CONFIG_TEXT = "bake: {ssh_from: 198.51.100.0/24}\n"


@pytest.mark.parametrize(
    ("file", "flag", "expected"),
    [
        ("", [], None),
        (CONFIG_TEXT, [], "198.51.100.0/24"),
        ("", ["--ssh-from", "203.0.113.7/32"], "203.0.113.7/32"),
        (CONFIG_TEXT, ["--ssh-from", "203.0.113.7/32"], "203.0.113.7/32"),
    ],
)
def test_the_flag_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, flag: list[str], expected: str | None
) -> None:
    received: list[str | None] = []

    def bake_packer(*_: object, ssh_from: str | None, **__: object) -> tuple[str, ...]:
        received.append(ssh_from)
        return ("an image",)

    monkeypatch.setattr(Tool, "session", lambda *_: SimpleNamespace(image_storage=None, folder_id="", host=True))
    monkeypatch.setattr(builder, "bake_packer", bake_packer)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/config.yaml").write_text(EDGES.read_text() + file)
    assert main(["--envs", str(tmp_path), "bake", "--env", "dev", *flag]) == 0
    assert received == [expected]


def test_bake_takes_the_name_of_a_library_image_as_image_yaml_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    baked: list[tuple[str, ...]] = []

    def bake_packer(_session: object, _project: object, names: tuple[str, ...], **_: object) -> tuple[str, ...]:
        baked.append(names)
        return ("an image",)

    monkeypatch.setattr(Tool, "session", lambda *_: SimpleNamespace(image_storage=None, folder_id="", host=True))
    monkeypatch.setattr(builder, "bake_packer", bake_packer)
    monkeypatch.chdir(ROOT)
    assert main(["bake", "samovar/base", "nginx"]) == 0
    assert baked == [("samovar-base", "nginx")]


def test_prune_deletes_cached_files_unused_for_long_after_a_confirmation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Tool, "session", lambda *_: SimpleNamespace(image_storage=None, folder_id="", host=True))
    monkeypatch.setattr(publish, "unused", lambda *_: ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    file = tmp_path / "samovar/images/gone-0123456789ab.raw"
    file.parent.mkdir(parents=True)
    file.touch()
    os.utime(file, (0, 0))
    assert main(["images", "--prune"]) == ExitCode.REFUSED
    assert file.exists()
    assert f"delete 1 of the files in {file.parent}, 0 MiB" in capsys.readouterr().err
    assert main(["images", "--prune", "--yes"]) == 0
    assert not file.exists()
    assert main(["images", "--prune"]) == 0
    assert "nothing to do" in capsys.readouterr().err
