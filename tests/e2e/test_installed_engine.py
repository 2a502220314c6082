"""A project in a folder of its own, by an engine that is installed elsewhere: baked, rolled out, healed, destroyed.

It is a copy of this one's content with an image more, which inherits its parent's role. The engine is a wheel in a
virtual environment of its own; nothing of the checkout is read.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkout import ROOT
from tests.support.http_load import get
from tests.support.tool import EDGES, Cli
from tests.support.wheel import install

CONTENT = ("images", "groups", "cloudinit", "scripts", "envs", "loads", "drills")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in CONTENT:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "samovar.yaml", folder)
    (folder / "images/web/rootfs/etc").mkdir(parents=True)
    (folder / "images/web/image.yaml").write_text("description: an edge of another project\nparent: samovar/edge\n")
    (folder / "images/web/rootfs/etc/project").write_text("another\n")
    (folder / "envs/small").mkdir()
    config = EDGES.read_text().replace("image: samovar/edge", "image: web")
    (folder / "envs/small/config.yaml").write_text(config)
    return folder


@pytest.fixture
def cli(project: Path, tmp_path: Path) -> Iterator[Cli]:
    programs = install(tmp_path / "installed")
    inside = ("env", "--chdir", str(project))
    tool = Cli(tmp_path / "home", project / "envs", root=programs, prefix=inside, program="samovar")
    yield tool
    tool.run("cloud", "down", check=False)


def _machines(status: Any) -> dict[str, Any]:
    return {machine["name"]: machine for machine in status["groups"][0]["machines"]}


def test_an_installed_engine_bakes_rolls_out_heals_and_destroys_a_project(cli: Cli, project: Path) -> None:
    done = cli.run("up", "small", "--yes")
    assert f"project: {project}" in done.stderr
    assert done.stdout.split() == [f"http://{cli.address('small')}/"]
    assert get(cli.address("small"))
    before = _machines(cli.json("status", "small"))
    cli.run("cloud", "kill", "small-nginx-1")

    def healed(status: Any) -> bool:
        return bool(status["healthy"]) and _machines(status)["small-nginx-1"]["pid"] != before["small-nginx-1"]["pid"]

    status = cli.watched_when("small", healed)
    assert all(machine["image"].startswith("samovar-web-") for machine in _machines(status).values())
    cli.run("destroy", "small", "--yes")
    assert cli.json("cloud", "status")["machines"] == []
