from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from samovar.agent.role import (
    KEYS,
    SYSTEMCTL,
    TEMPLATE_KEYS,
    GroupNames,
    InvalidConfig,
    Template,
    UpstreamSettings,
    read_peers,
    read_role,
    read_secrets,
    read_settings,
    read_upstreams,
)
from samovar.project.image import Role as RoleFile
from samovar.project.image import RoleTemplate
from tests.support.checkout import ROOT

NGINX = """
templates:
  - {source: nginx.conf.j2, target: /etc/nginx/nginx.conf, mode: "0640", owner: "root:www-data"}
  - {source: index.html.j2, target: /var/www/index.html, units: []}
  - {source: haproxy.cfg.j2, target: /etc/haproxy.cfg, units: [haproxy.service]}
check: [nginx, -t]
units: [nginx.service, haproxy.service]
peers: true
upstreams: {app: required, cache: optional}
secrets: {certificate: optional}
on_change: reload
defaults: {port: 80, ratio: 0.5, https: false, email: null}
settings: {port: {type: integer, maximum: 65535}}
"""
DEFAULTS = {"port": 80, "ratio": 0.5, "https": False, "email": None}


def test_read_role_reads_every_key() -> None:
    role = read_role(NGINX, "nginx.yaml")
    assert role.templates == (
        Template("nginx.conf.j2", "/etc/nginx/nginx.conf", 0o640, "root:www-data", role.units, "reload"),
        Template("index.html.j2", "/var/www/index.html", 0o644, None, (), "reload"),
        Template("haproxy.cfg.j2", "/etc/haproxy.cfg", 0o644, None, ("haproxy.service",), "reload"),
    )
    assert role.units == ("nginx.service", "haproxy.service")
    assert (role.peers, role.secrets) == (True, {"certificate": False})
    assert role.upstreams == {"app": True, "cache": False}
    assert role.check == ("nginx", "-t")
    assert role.defaults == DEFAULTS
    assert role.schemas == {"port": {"type": "integer", "maximum": 65535}}


@pytest.mark.parametrize(
    ("changed", "units"),
    [
        (["/etc/haproxy.cfg"], ["haproxy.service"]),
        (["/etc/nginx/nginx.conf", "/var/www/index.html"], ["nginx.service", "haproxy.service"]),
    ],
)
def test_a_command_names_the_units_of_changed_files(changed: list[str], units: list[str]) -> None:
    commands = read_role(NGINX, "nginx.yaml").reload_commands(changed)
    assert [*commands] == [["systemctl", "--no-block", "try-reload-or-restart", *units]]


def test_without_units_there_is_no_command() -> None:
    assert [*read_role(NGINX, "nginx.yaml").reload_commands(["/var/www/index.html"])] == []


def test_a_template_overrides_how_the_role_applies_a_change_and_a_restart_precedes_a_reload() -> None:
    text = NGINX.replace("units: [haproxy.service]}", "units: [haproxy.service], on_change: restart}")
    commands = read_role(text, "nginx.yaml").reload_commands(["/etc/nginx/nginx.conf", "/etc/haproxy.cfg"])
    assert [*commands] == [
        ["systemctl", "--no-block", "try-restart", "haproxy.service"],
        ["systemctl", "--no-block", "try-reload-or-restart", "nginx.service"],
    ]


def test_an_empty_role_is_valid() -> None:
    role = read_role("", "bare.yaml")
    assert role.templates == ()
    assert [*role.reload_commands([])] == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("template: []", "template: unknown"),
        ("units: nginx.service", "units: must be a list"),
        ("on_change: restat", "on_change: 'restat'"),
        ("templates: [{source: a, target: /b, on_change: never}]", "templates: .*on_change: 'never'"),
        ("templates: [{source: a}]", "templates: .*target"),
        ('templates: [{source: a, target: /b, mode: "0888"}]', "templates: .*octal"),
        ("templates: [{source: a, target: /b, owner: root}]", "templates: .*user:group"),
        ("templates: [{source: a, target: /b, mod: x}]", "templates: .*mod: unknown"),
        ("templates: [{source: a, target: /b, units: [c.service]}]", "templates: .*c.service: none of"),
        ("defaults: {peers: 1}", "defaults: peers"),
        ("settings: {port: {}}", "settings: port"),
        ("peers: bingo", "peers: must be true or false"),
        ("secrets: [phrase]", "secrets: must be a mapping"),
        ("upstreams: {app: maybe}", "upstreams: app: 'maybe' is none of required, optional"),
        ("- 1", "must be a mapping"),
        ("a: [", "no YAML"),
    ],
)
def test_read_role_names_file_and_key_of_an_error(text: str, what: str) -> None:
    with pytest.raises(InvalidConfig, match=f"^nginx.yaml: {what}"):
        read_role(text, "nginx.yaml")


def test_settings_override_defaults() -> None:
    settings = read_settings("port: 8080\nemail: a@b.c\nratio: 1", DEFAULTS)
    assert settings == {"port": 8080, "ratio": 1, "https": False, "email": "a@b.c"}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("prot: 80", "settings.prot: unknown; the role knows port, ratio"),
        ("port: '80'", "settings.port: '80' must be a whole number"),
        ("port: true", "settings.port: True must be"),
        ("https: 1", "settings.https: 1 must be true or false"),
        ("ratio: true", "settings.ratio: True must be"),
        ("port: 81", "settings.email: must be given"),
        ("email:", "settings.email: must be given"),
        ("80", "samovar-settings: must be a mapping"),
        ("port: [", "samovar-settings: no YAML"),
    ],
)
def test_read_settings_names_the_key_of_an_error(text: str, key: str) -> None:
    with pytest.raises(InvalidConfig, match=f"^{key}"):
        read_settings(text, DEFAULTS)


SETTINGS_TEXT = """\
port: 8080
email: a@b.c
peers: {group: web, machines: 2}
upstreams:
  app: {group: bingo, machines: 3, address: 10.0.0.9:80}
  db: {address: db.example.com:6432}
secrets:
  phrase: e6q1
"""


def test_reserved_keys_are_no_settings() -> None:
    assert read_settings(SETTINGS_TEXT, DEFAULTS) == {**DEFAULTS, "port": 8080, "email": "a@b.c"}
    assert read_peers(SETTINGS_TEXT) == GroupNames("web", 2)
    assert read_upstreams(SETTINGS_TEXT, ["app", "db", "cache"]) == {
        "app": UpstreamSettings("10.0.0.9:80", GroupNames("bingo", 3)),
        "db": UpstreamSettings("db.example.com:6432", None),
    }
    assert read_secrets(SETTINGS_TEXT, ["phrase"]) == {"phrase": "e6q1"}
    assert (read_peers(""), read_upstreams("", ["app"]), read_secrets("", ["phrase"])) == (None, {}, {})


def test_a_role_may_take_secrets_of_any_name() -> None:
    role = read_role("secrets: {seeded: optional, '*': optional}", "postgres.yaml")
    assert read_secrets(f"{SETTINGS_TEXT}  other: e6q2\n", role.secrets) == {"phrase": "e6q1", "other": "e6q2"}


def test_a_role_may_take_upstreams_of_any_name() -> None:
    role = read_role("upstreams: {app: optional, '*': optional}", "edge.yaml")
    given = read_upstreams(SETTINGS_TEXT, role.upstreams)
    assert [*given] == ["app", "db"]
    assert role.upstream_names(given) == ["app", "db"]
    assert role.upstream_names([]) == ["app"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("peers: [bingo]", "peers: must be a mapping"),
        ("peers: {group: bingo, machines: true}", "peers: .* must name a group"),
        ("upstreams: {app: bingo}", "upstreams: app: 'bingo' must be a mapping"),
        ("upstreams: {app: {group: bingo, machines: '3'}}", "upstreams: app: .* must name a group"),
        ("upstreams: {app: {address: 80}}", "upstreams: app: .* must be a mapping with an address"),
        ("secrets: {phrase: 3}", "secrets: phrase: 3 must be the id"),
    ],
)
def test_reserved_keys_name_the_place_of_an_error(text: str, what: str) -> None:
    with pytest.raises(InvalidConfig, match=f"^samovar-settings: {what}"):
        read_peers(text), read_upstreams(text, ["app"]), read_secrets(text, ["phrase"])


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.integers() | st.text() | st.lists(st.integers())))
def test_settings_of_the_type_of_their_defaults_are_accepted(settings: dict[str, Any]) -> None:
    assert read_settings(yaml.safe_dump(settings), settings) == settings


@given(st.text())
def test_any_text_is_settings_or_a_named_error(text: str) -> None:
    try:
        read_settings(text, {})
    except InvalidConfig as error:
        assert str(error).startswith(("samovar-settings: ", "settings."))  # noqa: PT017 - most texts raise, and some do not


def test_the_reference_of_a_role_has_the_keys_that_the_agent_reads() -> None:
    assert set(RoleFile.model_fields) == set(KEYS)
    assert set(RoleTemplate.model_fields) == TEMPLATE_KEYS
    assert {field.default for field in [RoleFile.model_fields["on_change"]]} <= set(SYSTEMCTL)


@pytest.mark.parametrize("file", sorted(ROOT.glob("**/images/*/role.yaml")), ids=lambda file: file.parent.name)
def test_the_shipped_roles_fit_their_reference(file: Path) -> None:
    role = RoleFile.model_validate(yaml.safe_load(file.read_text()))
    assert role.templates
    schema = {"properties": role.settings}
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate({key: value for key, value in role.defaults.items() if value is not None})
