"""The role of the image samovar/app: what the proxy is told, and which settings are refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from samovar.agent.inputs import Peer
from samovar.agent.role import InvalidConfig
from tests.support.roles import MACHINE, rendered, role_of

PROXY = "/etc/haproxy/haproxy.cfg"
TIMER = "/etc/systemd/system/application.timer"
DROP_IN = "/etc/systemd/system/application.service.d/20-schedule.conf"
CLASS = r"^backend (\w+) from (\w+)\n  server application (\S+) maxconn (\d+)"
SERVER = r"^  server (\S+) (\S+)(?: (.*))?$"
OTHERS = (Peer("a-1", MACHINE.address), Peer("a-2", "10.0.0.12"), Peer("a-3", "10.0.0.13"))
READS: dict[str, Any] = {"name": "reads", "methods": ["GET"], "share": 0.5, "repeat": True}
REST: dict[str, Any] = {"name": "rest", "share": 0.1}


def proxy(**settings: object) -> str:
    return rendered("samovar-app", json.dumps({"port": 3000, **settings}))[PROXY]


def refused(**settings: object) -> list[str]:
    schemas = {"properties": role_of("samovar-app").schemas}
    schema = Draft202012Validator(schemas, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in schema.iter_errors(settings)]


def test_by_default_reads_are_repeated_and_writes_are_not() -> None:
    text = proxy()
    assert re.findall(r"(?:use|default)_backend .*", text.partition("defaults repeatable")[0])[1:] == [
        "use_backend reads if { method GET HEAD }",
        "default_backend writes",
    ]
    assert re.findall(CLASS, text, re.MULTILINE) == [
        ("reads", "repeatable", "abns@held", "96"),
        ("writes", "once", "127.0.0.1:3000", "32"),
    ]


def test_other_machines_are_asked_while_the_application_does_not_answer() -> None:
    text = rendered("samovar-app", "{port: 3000, health: /well}", peers=OTHERS)[PROXY]
    assert servers(text, "reads from repeatable") == [
        ("application", "abns@own", "send-proxy-v2 maxconn 96 track own/application"),
        ("others", "abns@others-repeatable", "backup"),
    ]
    assert servers(text, "writes from once") == [
        ("application", "127.0.0.1:3000", "maxconn 32 track own/application"),
        ("others", "abns@others-once", "backup"),
    ]
    for step in ("repeatable", "once"):
        assert servers(text, f"others-{step} from base") == [
            ("a-2", "10.0.0.12:8100", "track others/a-2 tcp-ut 1500"),
            ("a-3", "10.0.0.13:8100", "track others/a-3 tcp-ut 1500"),
            ("application", "127.0.0.1:3000", "maxconn 128 backup"),
        ]
    assert text.count("use-server application if { src 10.0.0.12 10.0.0.13 } { dst_port 8100 }\n") == 2
    assert "http-check send meth GET uri /well ver HTTP/1.1 hdr Host 127.0.0.1:3000 " in text


def servers(text: str, backend: str) -> list[tuple[str, str, str]]:
    """Return name, address and options of the servers of a backend."""
    lines = text.partition(f"\nbackend {backend}\n")[2].partition("\n\n")[0]
    return re.findall(SERVER, lines, re.MULTILINE)


def test_a_class_has_methods_paths_or_a_regular_expression() -> None:
    classes = [{**READS, "paths": ["/a", "/b/"]}, {"name": "slow", "path_regex": "^/x$", "share": 0.001}, REST]
    text = proxy(classes=classes, connections=10)
    assert "use_backend reads if { method GET } { path -m beg /a /b/ }\n" in text
    assert "use_backend slow if { path_reg '^/x$' }\n  default_backend rest\n" in text
    assert "backend slow from once\n  server application 127.0.0.1:3000 maxconn 1\n" in text


def test_a_stream_that_goes_on_is_not_cut_by_a_reload() -> None:
    assert "hard-stop-after 1h\n" in proxy(timeout=1, hold=1)


def test_an_application_without_a_port_has_health_pages_alone() -> None:
    text = proxy(port=0, hold=30)
    assert re.findall(r"^backend (\w+)", text, re.MULTILINE) == ["health"]
    assert "server application" not in text
    assert text.count('string "not found\\n" if !own\n') == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"port": 8100},
            "settings.port: 8100 is the proxy's: let the application listen at another, or state other `ports`",
        ),
        (
            {"port": 8101},
            "settings.port: 8101 is the watchdog's, an exporter's or that of SSH (8101, 8404, 9100, 22): choose",
        ),
        ({"port": 22}, "settings.port: 22 is the watchdog's, an exporter's or that of SSH"),
        ({"ports": [80, 9100]}, "settings.ports: 9100 is the watchdog's, an exporter's or that of SSH"),
        ({"classes": [READS]}, "settings.classes.0: the last class takes what no other one takes"),
        ({"classes": [{**REST, "paths": ["/a"]}]}, "settings.classes.0: the last class takes what no other one takes"),
        ({"classes": [{**REST, "name": "all"}, REST]}, "settings.classes.0: only the last class takes what is left"),
        ({"classes": [READS, READS, REST]}, "settings.classes.1.name: two classes have this name"),
        ({"connections": 1}, "settings.connections: the classes take 2 together"),
        (
            {"classes": [{**READS, "share": 0.8}, {**REST, "share": 0.8}]},
            "settings.connections: the classes take 204 together",
        ),
        ({"hold": 66}, "settings.hold: what waits for the application would be given up after `timeout`, 65 s"),
        ({"silent": 30}, "settings.gone: the machine would be made anew before its application is killed"),
        ({"errors": [5, 30]}, "settings.gone: the machine would be made anew before its application is killed"),
        ({"schedule": "hourly"}, "settings.schedule: what runs by a schedule takes no requests"),
        (
            {"port": 0, "schedule": "hourly", "lifetime": [60]},
            "settings.lifetime: what runs by a schedule is not renewed",
        ),
        ({"port": 0, "hold": 15}, "settings.hold: a worker that was started again is well after 15 s"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidConfig, match=re.escape(message)):
        proxy(**settings)


def test_a_machine_may_be_given_up_as_soon_as_its_application_was_killed() -> None:
    assert proxy(silent=4, gone=10)


@pytest.mark.parametrize(
    "settings",
    [
        {"port": -1},
        {"port": 70000},
        {"health": "healthz"},
        {"health": "/well#"},
        {"ports": []},
        {"classes": [{**READS, "name": "health"}]},
        {"classes": [{**READS, "name": "others"}]},
        {"classes": [{**READS, "share": 0}]},
        {"classes": [{**READS, "paths": ["/a b"]}]},
        {"classes": [{**READS, "path_regex": "'"}]},
        {"classes": [{**READS, "path_regex": "^/r[0-9+$"}]},
        {"drain": 21},
        {"classes": [{**READS, "path": "/a"}]},
        {"memory": 1.5},
        {"lifetime": [1, 2, 3]},
        {"log_files": ["/etc/*"]},
        {"log_files": ["/var/log/it's.log"]},
        {"schedule": "daily\nUnit=x"},
        {"schedule": "every day"},
        {"schedule": "0 3 * * *"},
        {"schedule": "@daily"},
        {"schedule": "3am"},
        {"schedule": "badly"},
        {"schedule": "24:00"},
        {"schedule": "Mon 9..25:00"},
        {"schedule": "03:60"},
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


@pytest.mark.parametrize(
    "schedule",
    [
        "hourly",
        "weekly Europe/Moscow",
        "Mon",
        "03:00",
        "*:0/15",
        "Tue..Thu,Sat 1:2",
        "Sun *-*-1..7 18:00:00 UTC",
        "*-02~01 10:00",
        "*:*:0/20",
        "2024-12-24 8..23:05,59:59",
    ],
)
def test_schedules_as_systemd_writes_them_are_taken(schedule: str) -> None:
    assert not refused(schedule=schedule)
    assert f"OnCalendar={schedule}\n" in rendered("samovar-app", f"{{port: 0, schedule: '{schedule}'}}")[TIMER]


def test_no_logs_are_rotated_unless_they_are_named() -> None:
    assert rendered("samovar-app", "port: 3000")["/etc/application/rotate.conf"] == ""
    named = rendered("samovar-app", "{port: 3000, log_files: [/var/log/a/*.log, /srv/b.log]}")
    assert "/var/log/a/*.log /srv/b.log {" in named["/etc/application/rotate.conf"]


def test_bingo_keeps_its_classes_and_shares() -> None:
    text = rendered("bingo", 'email: a@example.com\nport: 13526\nlogs: "0"\n', {"postgres_password": "none"})[PROXY]
    assert re.findall(CLASS, text, re.MULTILINE) == [
        ("lists", "repeatable", "abns@held", "8"),
        ("rows", "repeatable", "abns@held", "16"),
        ("pages", "repeatable", "abns@held", "16"),
        ("operations", "once", "127.0.0.1:13526", "16"),
        ("writes", "once", "127.0.0.1:13526", "8"),
    ]
