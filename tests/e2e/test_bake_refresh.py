"""An image whose packages grew old, as an operator renews it: found outdated, refreshed, published in its place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samovar.core.output import PlainReporter
from samovar.core.paths import cache_dir
from samovar.images.builders.local import bake_local
from tests.support.checkout import PROJECT
from tests.support.tool import Cli

OLD = "1.0-ancient"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """A cache with nothing but the image base, baked when bash was old, and the package files."""
    (base,) = bake_local(PROJECT, ["samovar-base"], reporter=PlainReporter())
    apt = cache_dir() / "apt"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = cache_dir() / "images"
    store.mkdir(parents=True)
    (cache_dir() / "apt").symlink_to(apt)
    shutil.copy(base.raw, store)
    (store / base.raw.with_suffix(".json").name).write_text(json.dumps({**base.packages, "bash": OLD}))
    tool = Cli(tmp_path / "home", tmp_path / "envs")
    yield tool
    tool.run("cloud", "down", check=False)


def _bases(cli: Cli, *options: str) -> Any:
    return [image for image in cli.json("images", *options)["images"] if image["image"] == "samovar-base"]


def test_an_outdated_package_is_listed_and_refreshed_under_the_same_name(cli: Cli) -> None:
    cli.run("bake", "samovar-base")
    (old,) = _bases(cli, "--outdated")
    assert (old["current"], old["published"]) == (True, True)
    (bash,) = [found for found in old["outdated"] if found["package"] == "bash"]
    assert bash["baked"] == OLD
    cli.run("bake", "samovar-base", "--refresh")
    new, former = _bases(cli, "--outdated")
    assert (new["name"], new["outdated"]) == (old["name"], [])
    assert new["id"] != old["id"]
    assert (former["id"], former["current"], former["outdated"]) == (old["id"], False, None)
    assert "nothing to do" in cli.run("bake", "samovar-base").stderr
