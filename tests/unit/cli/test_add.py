"""Groups by `add`: the file keeps what a person wrote, and what could not be planned is not written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from samovar.cli.main import cli
from samovar.deploy.rollout import load_desired
from samovar.project.environment import Environment, load_environment
from samovar.project.project import Project


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of one application, whose environment a person edited."""
    program = tmp_path / "api"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    folder = tmp_path / "shop"
    done = call("init", str(folder), "--app", str(program), "--port", "8080")
    assert done.exit_code == 0, done.output
    file = folder / "envs/dev/config.yaml"
    file.write_text(file.read_text() + "  # ours\n")
    return Project(folder, folder / "envs")


def add(project: Project, *arguments: str) -> Result:
    return call("--project", str(project.folder), "add", *arguments)


def text(project: Project) -> str:
    return (project.envs / "dev/config.yaml").read_text()


def environment(project: Project) -> Environment:
    found = load_environment("dev", project)
    assert load_desired(found).resources
    return found


def test_a_database_is_added_with_its_password(project: Project) -> None:
    before = text(project)
    done = add(project, "rows", "--kind", "postgres")
    assert done.exit_code == 0, done.output
    assert "upstreams: {database: rows}, secrets: {database_password: rows_password}" in done.output
    start, end = before.split("groups:\n")
    assert text(project).startswith(start.split("# An")[0])
    assert f"groups:\n{end}  rows:\n" in text(project)
    rows = environment(project).group("rows")
    assert rows.image == "samovar-postgres"
    assert rows.settings == {
        "databases": [{"name": "rows", "owner": "rows"}],
        "users": [{"name": "rows", "secret": "rows_password"}],  # pragma: allowlist secret
    }


def test_an_application_is_added_with_its_image(project: Project, tmp_path: Path) -> None:
    done = add(project, "api", "--kind", "app", "--app", str(tmp_path / "api"), "--port", "9000", "--health", "/up")
    assert done.exit_code == 0, done.output
    api = environment(project).group("api")
    assert api.settings == {"port": 9000, "health": "/up", "environment": {"PORT": "9000"}}
    assert (project.images / "api/api").is_file()


def test_a_worker_is_added_with_its_image(project: Project, tmp_path: Path) -> None:
    done = add(project, "mailer", "--kind", "worker", "--app", str(tmp_path / "api"))
    assert done.exit_code == 0, done.output
    mailer = environment(project).group("mailer")
    assert (mailer.kind, mailer.size, mailer.balancer) == ("samovar/worker", 1, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shop", "--kind", "postgres"), "dev has a group or a server shop"),
        (("Rows", "--kind", "postgres"), "Rows cannot be the name of an image and a group"),
        (("rows", "--kind", "postgres", "--env", "prod"), "no environment prod"),
        (("api", "--kind", "app", "--port", "80"), "Missing option '--app'"),
        (("api", "--kind", "app", "--app", "missing", "--port", "80"), "missing is not there"),
    ],
)
def test_what_cannot_be_added_is_refused_and_nothing_is_written(
    project: Project, arguments: tuple[str, ...], message: str
) -> None:
    before = text(project)
    done = add(project, *arguments)
    assert message in done.output
    assert text(project) == before


def test_an_addition_that_cannot_be_planned_leaves_no_image_behind(project: Project, tmp_path: Path) -> None:
    file = project.envs / "dev/config.yaml"
    file.write_text(text(project).replace("environment: {", "greeting: {"))
    before = file.read_text()
    done = add(project, "api", "--kind", "app", "--app", str(tmp_path / "api"), "--port", "9000")
    assert "nothing was written" in done.output
    assert "greeting: unknown" in done.output
    assert file.read_text() == before
    assert not (project.images / "api").exists()


def test_an_addition_that_is_interrupted_leaves_no_image_behind(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = text(project)
    monkeypatch.setattr("samovar.cli.add._check", interrupted)
    program = tmp_path / "other"
    program.write_text("#!/bin/sh\n")
    add(project, "other", "--kind", "app", "--app", str(program), "--port", "9000")
    assert not (project.images / "other").exists()
    assert text(project) == before
