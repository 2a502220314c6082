"""Groups by `add`: the file keeps what a person wrote, and what could not be planned is not written."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.deploy.rollout import load_desired
from samovar.project.balancer import BalancerType
from samovar.project.environment import Environment, load_environment
from samovar.project.environment_options import SecretKind
from samovar.project.project import Project
from tests.support.command import Ended, command


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of one application, whose environment a person edited."""
    program = tmp_path / "api"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    folder = tmp_path / "shop"
    done = command("init", str(folder), "--app", str(program), "--port", "8080")
    assert done.exit_code == 0, done.output
    file = folder / "envs/dev/config.yaml"
    file.write_text(file.read_text() + "  # ours\n")
    return Project(folder, folder / "envs")


def add(project: Project, *arguments: str) -> Ended:
    return command("--project", str(project.folder), "add", *arguments)


def text(project: Project) -> str:
    return (project.envs / "dev/config.yaml").read_text()


def environment(project: Project) -> Environment:
    loaded = load_environment("dev", project)
    assert load_desired(loaded).resources
    return loaded


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
    assert api.balancer
    assert api.balancer.type is BalancerType.INTERNAL, "the world asks shop already"
    assert "api is asked by groups" in done.output
    assert (project.images / "api/api").is_file()


def test_an_application_gets_an_external_balancer_where_no_group_has_one(project: Project, tmp_path: Path) -> None:
    file = project.envs / "dev/config.yaml"
    file.write_text(text(project).replace("balancer: {type: external}", ""))
    add(project, "api", "--kind", "app", "--app", str(tmp_path / "api"), "--port", "80")
    balancer = environment(project).group("api").balancer
    assert balancer
    assert (balancer.type, balancer.listeners["http"].target) == (BalancerType.EXTERNAL, 8080)


def test_a_worker_is_added_with_its_image(project: Project, tmp_path: Path) -> None:
    done = add(project, "mailer", "--kind", "worker", "--app", str(tmp_path / "api"))
    assert done.exit_code == 0, done.output
    mailer = environment(project).group("mailer")
    assert (mailer.kind, mailer.size, mailer.balancer) == ("samovar/worker", 1, None)


def test_an_application_is_added_with_a_database_of_a_new_group(project: Project, tmp_path: Path) -> None:
    app = ("--kind", "app", "--app", str(tmp_path / "api"), "--port", "9000", "--database")
    done = add(project, "api", *app)
    assert done.exit_code == 0, done.output
    dev = environment(project)
    assert dev.group("database").settings["databases"] == [{"name": "database", "owner": "database"}]
    api = dev.group("api")
    assert api.upstreams == {"database": "database"}
    assert [*api.secrets.items()] == [("database_password",) * 2]
    assert api.settings["environment"] == {"PORT": "9000", "PGDATABASE": "database", "PGUSER": "database"}


def test_an_application_is_added_with_the_database_of_a_group(project: Project, tmp_path: Path) -> None:
    add(project, "rows", "--kind", "postgres")
    file = project.envs / "dev/config.yaml"
    file.write_text(text(project).replace("{name: rows, owner: rows}", "{name: orders, owner: rows}"))
    for name, kind in (("api", "app"), ("mailer", "worker")):
        port = ("--port", "9000") if kind == "app" else ()
        done = add(project, name, "--kind", kind, "--app", str(tmp_path / "api"), *port, "--database", "rows")
        assert done.exit_code == 0, done.output
        group = environment(project).group(name)
        assert group.upstreams == {"database": "rows"}
        assert [*group.secrets.items()] == [("database_password", "rows_password")]
        variables = group.settings["environment"]
        assert isinstance(variables, dict)
        assert (variables["PGDATABASE"], variables["PGUSER"]) == ("orders", "rows")
    assert text(project).count("kind: samovar/postgres") == 1


def test_an_edge_is_added_before_an_application_that_keeps_its_public_address(project: Project) -> None:
    done = add(project, "front", "--kind", "edge", "--upstream", "shop")
    assert done.exit_code == 0, done.output
    assert "shop is also asked past front" in done.output
    dev = environment(project)
    assert dev.group("front").settings == {"fallback_port": 8100}
    assert dev.secrets == {"certificate": SecretKind.CERTIFICATE}


def test_an_application_is_added_with_enough_machines_for_its_zones(project: Project, tmp_path: Path) -> None:
    file = project.envs / "dev/config.yaml"
    file.write_text(text(project).replace("[ru-central1-a]", "[ru-central1-a, ru-central1-b]"))
    done = add(project, "api", "--kind", "app", "--app", str(tmp_path / "api"), "--port", "9000")
    assert done.exit_code == 0, done.output
    assert environment(project).group("api").size == 4


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (
            ("api", "--kind", "app", "--app", "{api}", "--port", "8101"),
            "port: 8101 is the watchdog's",
            "give another --port",
        ),
        (("mail", "--kind", "worker", "--app", "{api}"), "would run as the user mail", "give another GROUP"),
        (("shop", "--kind", "postgres"), "dev has a group or a server shop", "give another GROUP"),
        (("Rows", "--kind", "postgres"), "Rows cannot be the name of an image and a group", "give another GROUP"),
        (("front", "--kind", "edge", "--upstream", "none"), "dev has no group none", "give another --upstream: shop"),
        (("template1", "--kind", "postgres"), "databases.0.name: 'template1'", "give another GROUP"),
        (("d" * 31, "--kind", "postgres"), f"secrets.{'d' * 31}_password", "give another GROUP"),
        (
            ("api", "--kind", "worker", "--app", "{api}", "--database", "pg-rows"),
            "users.0.name: 'pg_rows'",
            "give another --database GROUP",
        ),
    ],
)
def test_a_refusal_names_the_argument_to_change_and_no_file_is_written(
    project: Project, tmp_path: Path, arguments: tuple[str, ...], message: str, remedy: str
) -> None:
    before = text(project)
    done = add(project, *(word.format(api=tmp_path / "api") for word in arguments))
    assert message in done.output
    assert remedy in done.output.partition("remedy: ")[2]
    assert text(project) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rows", "--kind", "postgres", "--port", "80"), "--port is not for --kind postgres"),
        (("front", "--kind", "edge"), "Missing option '--upstream'"),
        (("api", "--kind", "app", "--app", "{api}", "--port", "90", "--database", "shop"), "shop has no database"),
        (("api", "--kind", "app", "--app", "{api}", "--port", "90", "--database", "api"), "api is the group of the"),
        (("rows", "--kind", "postgres", "--env", "prod"), "no environment prod"),
        (("api", "--kind", "app", "--port", "80"), "Missing option '--app'"),
        (("api", "--kind", "app", "--app", "missing", "--port", "80"), "missing is not there"),
    ],
)
def test_an_impossible_addition_is_refused_and_no_file_is_written(
    project: Project, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = text(project)
    done = add(project, *(word.format(api=tmp_path / "api") for word in arguments))
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
