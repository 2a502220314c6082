"""A new project by `init`: its files are read by the tool, and what cannot become one is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from samovar.cli.main import cli
from samovar.deploy.rollout import load_desired
from samovar.images.load import load_images
from samovar.project.environment import load_environment
from samovar.project.project import Project

DIGEST = f"sha256:{'0' * 64}"


def init(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["init", str(folder), *arguments])


@pytest.fixture
def api(tmp_path: Path) -> Path:
    file = tmp_path / "api"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_a_project_of_one_executable_is_one_that_can_be_rolled_out(tmp_path: Path, api: Path) -> None:
    folder = tmp_path / "shop"
    result = init(folder, "--app", str(api), "--port", "8080", "--health", "/healthz")
    assert result.exit_code == 0, result.output
    written = [file for file in folder.rglob("*") if file.is_file()]
    assert sum(len(file.read_text().splitlines()) for file in written) < 40
    assert os.access(folder / "images/shop/api", os.X_OK)
    project = Project(folder, folder / "envs")
    shop = load_environment("dev", project).group("shop")
    assert shop.balancer
    assert (shop.health.port, shop.health.path, shop.balancer.listeners["http"].target) == (8080, "/healthz", 8080)
    application = load_images(project)["shop"].application
    assert application
    assert application.target == "/opt/shop/api"
    assert load_desired(load_environment("dev", project)).resources


def test_without_a_page_the_port_is_checked(tmp_path: Path, api: Path) -> None:
    init(tmp_path / "shop", "--app", str(api), "--port", "80")
    shop = load_environment("dev", Project(tmp_path / "shop", tmp_path / "shop/envs")).group("shop")
    assert shop.balancer
    assert (shop.health.type, shop.health.port, shop.balancer.listeners["http"].target) == ("tcp", 80, 80)


def test_an_oci_image_by_its_digest_is_named_as_it_was(tmp_path: Path) -> None:
    reference = f"registry.example.org/shop/api@{DIGEST}"
    result = init(tmp_path / "shop", "--app", reference, "--port", "8080")
    assert result.exit_code == 0, result.output
    assert f'oci: "{reference}"' in (tmp_path / "shop/images/shop/image.yaml").read_text()


def test_a_folder_needs_a_command_and_is_copied(tmp_path: Path, api: Path) -> None:
    (tmp_path / "built/bin").mkdir(parents=True)
    api.rename(tmp_path / "built/bin/api")
    refused = init(tmp_path / "shop", "--app", str(tmp_path / "built"), "--port", "8080")
    assert "is not an executable itself" in refused.output
    assert not (tmp_path / "shop").exists()
    done = init(
        tmp_path / "shop", "--app", str(tmp_path / "built"), "--port", "8080", "--command", "/opt/shop/bin/api -v"
    )
    assert done.exit_code == 0, done.output
    assert 'run: {command: ["/opt/shop/bin/api", "-v"]}' in (tmp_path / "shop/images/shop/image.yaml").read_text()
    assert (tmp_path / "shop/images/shop/built/bin/api").is_file()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Shop", ("--app", "api"), "Shop cannot be the name of an image"),
        ("shop", ("--app", "missing"), "missing is not there"),
        ("shop", ("--app", "./missing/api"), "./missing/api is not there"),
        ("shop", ("--app", "api", "--health", "healthz"), "--health healthz is no path"),
        (".", ("--app", "api"), "is not empty"),
    ],
)
def test_what_cannot_become_a_project_is_refused_and_nothing_is_written(
    tmp_path: Path, api: Path, monkeypatch: pytest.MonkeyPatch, name: str, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = init(Path(name), *arguments, "--port", "8080")
    assert message in result.output
    assert [file.name for file in tmp_path.iterdir()] == [api.name]
