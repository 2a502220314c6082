"""The image to which docs/extending.md leads: its files load, and its role takes the settings of a group."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.cli.main import main
from samovar.core.errors import ExitCode
from samovar.images.load import load_images
from tests.support.checkout import ROOT, project_in

EXAMPLE = ROOT / "examples/worker-redis"
CONFIG = """
zones: [ru-central1-a]
network: {cidr: 10.30.0.0/16}
groups:
  cache: {kind: redis, size: 1, settings: {memory: 64mb}}
"""


def test_the_files_are_an_image_and_the_page_names_each() -> None:
    image = load_images(project_in(EXAMPLE))["redis"]
    assert image.parent == "samovar-base"
    assert [script.name for script in image.scripts] == ["scripts/no-defaults.sh"]
    targets = {file.target for file in image.files}
    assert {"/usr/lib/samovar/roles/redis.yaml", "/usr/share/samovar/templates/redis.conf.j2"} <= targets
    page, folder = (ROOT / "docs/extending.md").read_text(), EXAMPLE / "images/redis"
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert [name for name in names if f"| `{name}` |" not in page] == []


def test_a_group_of_the_kind_gives_its_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/config.yaml").write_text(CONFIG)
    assert main(["--project", str(EXAMPLE), "--envs", str(tmp_path), "render", "dev", "cache"]) == ExitCode.OK
    assert "memory: 64mb" in capsys.readouterr().out
