"""An image whose packages grew old, as an operator renews it: found outdated, refreshed, published in its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samovar.core.constants import MIB
from samovar.core.paths import cache_dir
from samovar.images.definition import digests
from samovar.images.load import load_images
from samovar.images.store import default_store
from tests.support.checkout import empty_project, project_in
from tests.support.tool import Cli

OLD = "1.0-ancient"
IMAGE = "description: Debian and nothing else\nsuite: trixie\npackages: [tree]\n"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """A cache with the package files and one blank image, baked when bash was old; no machine is made of it."""
    apt = cache_dir() / "apt"
    apt.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = empty_project(tmp_path / "project")
    (project / "images/plain").mkdir()
    (project / "images/plain/image.yaml").write_text(IMAGE)
    store = default_store()
    raw = store.raw("plain", digests(load_images(project_in(project)))["plain"])
    store.folder.mkdir(parents=True)
    (cache_dir() / "apt").symlink_to(apt)
    raw.write_bytes(bytes(4 * MIB))
    raw.with_suffix(".json").write_text(json.dumps({"bash": OLD}))
    tool = Cli(tmp_path / "home", project / "envs", prefix=("env", f"SAMOVAR_PROJECT={project}"))
    yield tool
    tool.run("cloud", "down", check=False)


def _listed(cli: Cli, *options: str) -> Any:
    return [image for image in cli.json("images", *options)["images"] if image["image"] == "plain"]


def test_an_outdated_package_is_listed_and_refreshed_under_the_same_name(cli: Cli) -> None:
    cli.run("bake", "plain")
    (old,) = _listed(cli, "--outdated")
    assert (old["current"], old["published"]) == (True, True)
    (bash,) = [package for package in old["outdated"] if package["package"] == "bash"]
    assert bash["baked"] == OLD
    cli.run("bake", "plain", "--refresh")
    new, former = _listed(cli, "--outdated")
    assert (new["name"], new["outdated"]) == (old["name"], [])
    assert new["id"] != old["id"]
    assert (former["id"], former["current"], former["outdated"]) == (old["id"], False, None)
    assert "nothing to do" in cli.run("bake", "plain").stderr
