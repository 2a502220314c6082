"""The role of the image samovar/app: what the proxy is told, and which settings are refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from samovar.agent.role import InvalidConfig
from tests.support.roles import rendered, role_of

PROXY = "/etc/haproxy/haproxy.cfg"
TIMER = "/etc/systemd/system/application.timer"
DROP_IN = "/etc/systemd/system/application.service.d/20-schedule.conf"
BACKEND = r"^backend (\w+) from (\w+)\n  server application (\S+) maxconn (\d+)"
READS: dict[str, Any] = {"name": "reads", "methods": ["GET"], "share": 0.5, "repeat": True}
REST: dict[str, Any] = {"name": "rest", "share": 0.1}


def proxy(**settings: object) -> str:
    return rendered("samovar-app", json.dumps({"port": 3000, **settings}))[PROXY]


def refused(**settings: object) -> list[str]:
    schema = Draft202012Validator({"properties": role_of("samovar-app").schemas})
    return [error.message for error in schema.iter_errors(settings)]


def test_by_default_reads_are_repeated_and_writes_are_not() -> None:
    text = proxy()
    assert re.findall(r"(?:use|default)_backend .*", text.partition("defaults repeatable")[0])[1:] == [
        "use_backend reads if { method GET HEAD }",
        "default_backend writes",
    ]
    assert re.findall(BACKEND, text, re.MULTILINE) == [
        ("reads", "repeatable", "abns@repeatable", "96"),
        ("writes", "once", "127.0.0.1:3000", "32"),
    ]


def test_a_class_has_methods_paths_or_a_regular_expression() -> None:
    classes = [{**READS, "paths": ["/a", "/b/"]}, {"name": "slow", "path_regex": "^/x$", "share": 0.001}, REST]
    text = proxy(classes=classes, connections=10)
    assert "use_backend reads if { method GET } { path -m beg /a /b/ }\n" in text
    assert "use_backend slow if { path_reg '^/x$' }\n  default_backend rest\n" in text
    assert "backend slow from once\n  server application 127.0.0.1:3000 maxconn 1\n" in text


def test_what_has_no_port_has_health_pages_alone() -> None:
    text = proxy(port=0)
    assert re.findall(r"^backend (\w+)", text, re.MULTILINE) == ["health"]
    assert "server application" not in text
    assert text.count('string "not found\\n" if !own\n') == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"port": 8100},
            "settings.port: 8100 is the proxy's: let the application listen at another, or state other `ports`",
        ),
        ({"classes": [READS]}, "settings.classes.0: the last class takes what no other one takes"),
        ({"classes": [{**REST, "paths": ["/a"]}]}, "settings.classes.0: the last class takes what no other one takes"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidConfig, match=re.escape(says)):
        proxy(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"port": -1},
        {"port": 70000},
        {"health": "healthz"},
        {"ports": []},
        {"classes": [{**READS, "name": "health"}]},
        {"classes": [{**READS, "share": 0}]},
        {"classes": [{**READS, "paths": ["/a b"]}]},
        {"classes": [{**READS, "path_regex": "'"}]},
        {"classes": [{**READS, "path": "/a"}]},
        {"memory": 1.5},
        {"lifetime": [1, 2, 3]},
        {"log_files": ["/etc/*"]},
        {"schedule": "daily\nUnit=x"},
    ],
)
def test_a_setting_of_a_wrong_form_is_refused(settings: dict[str, object]) -> None:
    assert refused(**settings)


def test_an_application_that_is_there_all_the_time_has_no_timer() -> None:
    files = rendered("samovar-app", "port: 3000")
    scheduled = rendered("samovar-app", "{port: 0, schedule: 'Mon 03:00'}")
    assert (files[TIMER], files[DROP_IN]) == ("", "")
    assert "OnCalendar=Mon 03:00\n" in scheduled[TIMER]
    assert "Restart=no\n" in scheduled[DROP_IN]


def test_no_logs_are_rotated_unless_they_are_named() -> None:
    assert rendered("samovar-app", "port: 3000")["/etc/application/rotate.conf"] == ""
    named = rendered("samovar-app", "{port: 3000, log_files: [/var/log/a/*.log, /srv/b.log]}")
    assert "/var/log/a/*.log /srv/b.log {" in named["/etc/application/rotate.conf"]


def test_bingo_keeps_its_classes_and_shares() -> None:
    text = rendered("bingo", 'email: a@example.com\nport: 13526\nlogs: "0"\n', {"postgres_password": "none"})[PROXY]
    assert re.findall(BACKEND, text, re.MULTILINE) == [
        ("lists", "repeatable", "abns@repeatable", "8"),
        ("rows", "repeatable", "abns@repeatable", "16"),
        ("pages", "repeatable", "abns@repeatable", "16"),
        ("operations", "once", "127.0.0.1:13526", "16"),
        ("writes", "once", "127.0.0.1:13526", "8"),
    ]
