"""An image is added as docs/extending.md says: its files load, and its role takes the settings of a group."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.cli.main import main
from samovar.core.errors import ExitCode
from samovar.images.load import load_images
from tests.support.checkout import project_in
from tests.support.documentation import files

CONFIG = """
zones: [ru-central1-a]
network: {cidr: 10.30.0.0/16}
groups:
  cache: {kind: redis, size: 1, settings: {memory: 64mb}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {**files("An image"), "envs/dev/config.yaml": CONFIG, "samovar.yaml": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_files_are_an_image(project: Path) -> None:
    image = load_images(project_in(project))["redis"]
    assert image.parent == "samovar-base"
    assert [script.name for script in image.scripts] == ["scripts/no-defaults.sh"]
    targets = {file.target for file in image.files}
    assert {"/usr/lib/samovar/roles/redis.yaml", "/usr/share/samovar/templates/redis.conf.j2"} <= targets
    assert "/etc/systemd/system/health@.service" in targets


def test_a_group_of_the_kind_gives_its_settings(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--project", str(project), "render", "dev", "cache"]) == ExitCode.OK
    assert "memory: 64mb" in capsys.readouterr().out
