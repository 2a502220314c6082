"""The settings of the library's PostgreSQL: what does not fit together is refused before any machine is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from samovar.agent.dry_run import example_facts
from samovar.agent.render import File, render
from samovar.agent.role import read_role, read_settings
from samovar.core.errors import ConfigError
from samovar.core.paths import LIBRARY
from samovar.deploy.rollout import load_desired
from samovar.project.environment import load_environment
from tests.support.checkout import empty_project, project_in

IMAGE = LIBRARY / "images/postgres"
FOLDER = "/etc/samovar/postgres"
SHOP = {"name": "shop", "owner": "shop"}
USER = {"name": "shop", "secret": "password"}  # pragma: allowlist secret
CONFIG = """\
cloud: local
zones: [ru-central1-a]
network: {cidr: 10.40.0.0/16}
secrets: {password: password, pair: provided, tls: certificate}
groups:
  rows:
    kind: samovar/postgres
    secrets: [password, pair]
"""


def plan(folder: Path, **settings: object) -> None:
    project = project_in(empty_project(folder))
    document = yaml.safe_load(CONFIG)
    document["groups"]["rows"]["settings"] = settings
    (project.envs / "dev").mkdir(parents=True)
    (project.envs / "dev/config.yaml").write_text(json.dumps(document))
    assert load_desired(load_environment("dev", project)).resources


def files(**settings: object) -> dict[str, File]:
    text = yaml.safe_dump(settings)
    role = read_role((IMAGE / "role.yaml").read_text(), "role.yaml")
    given = read_settings(text, role.defaults)
    facts = example_facts("samovar-postgres", role, text)
    rendered = render(role, given, facts, lambda name: (IMAGE / "templates" / name).read_text())
    return {file.path: file for file in rendered}


def test_a_database_with_all_settings_can_be_planned(tmp_path: Path) -> None:
    plan(
        tmp_path,
        databases=[{**SHOP, "extensions": ["pg_trgm", "uuid-ossp"]}],
        users=[USER],
        parameters={"work_mem": "16MB", "jit": False, "random_page_cost": 1.1, "pg_stat_statements.max": 1000},
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"databases": [SHOP]},
            "config.yaml:1: groups.rows.settings.databases.0.owner: its owner shop is none of the users",
        ),
        ({"users": [USER]}, "groups.rows.settings.users.0.name: shop owns none of the databases"),
        (
            {"databases": [SHOP], "users": [{**USER, "secret": "shop"}]},  # pragma: allowlist secret
            "users.0.secret: the group has no secret shop",
        ),
        ({"databases": [SHOP], "users": [USER, USER]}, "users.0.name: shop stands twice"),
        ({"databases": [SHOP, SHOP], "users": [USER]}, "databases.0.name: shop stands twice"),
        ({"databases": [{"name": "shop"}]}, "databases.0: 'owner' is a required property; it is such as"),
        ({"databases": [{**SHOP, "name": "sh-op"}]}, "databases.0.name: 'sh-op' does not match"),
        ({"databases": [{**SHOP, "name": "postgres"}]}, "databases.0.name: 'postgres' does not match"),
        ({"users": [{**USER, "name": "postgres"}]}, "users.0.name: 'postgres' does not match"),
        ({"users": [{**USER, "name": 'a"; DROP'}]}, "users.0.name"),
        ({"users": [{"name": "shop"}]}, "users.0: 'secret' is a required property"),
        ({"databases": [{**SHOP, "extensions": ["x';"]}]}, "databases.0.extensions.0"),
        ({"parameters": {"fsync": False}}, "parameters: 'fsync' does not match"),
        ({"parameters": {"ssl_cert_file": "/x"}}, "parameters: 'ssl_cert_file' does not match"),
        ({"parameters": {"work_mem": "1MB\n"}}, "parameters.work_mem"),
        ({"parameters": {"work_mem": [1]}}, "parameters.work_mem: [1] is not of type"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_by_name(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        plan(tmp_path, **settings)
    assert message in error.value.message
    assert "rows" in error.value.message


def test_texts_are_quoted_for_postgresql() -> None:
    users = [{"name": "shop", "secret": "password"}]  # pragma: allowlist secret
    rendered = files(
        databases=[SHOP], users=users, parameters={"a.b": "it's \\", "jit": True}, secrets={"password": "it's"}
    )
    sql, parameters = rendered[f"{FOLDER}/databases.sql"], rendered[f"{FOLDER}/parameters.conf"]
    assert (sql.mode, sql.owner) == (0o600, "postgres:postgres")
    assert "PASSWORD 'it''s';" in sql.content
    assert "a.b = 'it''s \\\\'\njit = 'true'\n" in parameters.content


def test_a_seed_fills_the_first_database_as_its_owner() -> None:
    own = files(databases=[SHOP], users=[USER], secrets={"password": "x"})[f"{FOLDER}/pgdata.conf"]
    assert "PGDATABASE=shop\nPGROLE=shop\n" in own.content
    assert "PGDATABASE=postgres\nPGROLE=postgres\n" in files()[f"{FOLDER}/pgdata.conf"].content


def test_without_users_no_login_is_possible() -> None:
    assert "rolname <> ALL ('{}')" in files()[f"{FOLDER}/databases.sql"].content


MONITORED = {"monitoring": {"collector": "watch"}}


def test_only_a_monitored_server_counts_statements_and_lets_its_exporter_in() -> None:
    alone, monitored = files(), files(**MONITORED)
    assert "pg_stat_statements" not in alone[f"{FOLDER}/parameters.conf"].content
    assert "prometheus" not in alone[f"{FOLDER}/databases.sql"].content
    assert "'pg_prewarm, pg_stat_statements'" in monitored[f"{FOLDER}/parameters.conf"].content
    script = monitored[f"{FOLDER}/databases.sql"].content
    assert "<> ALL ('{prometheus}')" in script
    assert "GRANT pg_monitor" in script
    assert "PASSWORD" not in script


def test_the_exporter_s_name_is_no_user_s(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"users\.0\.name: 'prometheus'"):
        plan(tmp_path, users=[{**USER, "name": "prometheus"}])
