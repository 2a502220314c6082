"""The group that monitors sends its alerts to a webhook."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from samovar.agent.clients import Secret
from samovar.agent.dry_run import example_facts
from samovar.agent.render import File, render
from samovar.agent.role import InvalidConfig, mapping_of, read_role, read_settings
from samovar.core.paths import LIBRARY

MONITORING = LIBRARY / "images/monitoring"
ROLE = read_role((MONITORING / "role.yaml").read_text(), "role.yaml")
FILE = "/etc/prometheus/alertmanager.yml"


def rendered(path: str, secrets: dict[str, Secret], **settings: str) -> File:
    """A file of the role."""
    text = yaml.safe_dump(settings)
    facts = replace(example_facts("samovar-monitoring", ROLE, text), secrets=secrets)
    files = render(
        ROLE, read_settings(text, ROLE.defaults), facts, lambda name: (MONITORING / "templates" / name).read_text()
    )
    (file,) = (file for file in files if file.path == path)
    return file


def alertmanager(secrets: dict[str, Secret], **settings: str) -> Any:
    """The configuration of Alertmanager, and the mode of its file."""
    file = rendered(FILE, secrets, **settings)
    assert (file.mode, file.owner) == (0o640, "root:prometheus")
    return yaml.safe_load(file.content)


@pytest.mark.parametrize(
    ("secrets", "settings", "url"),
    [
        ({}, {"webhook": "http://10.0.0.1/alerts"}, "http://10.0.0.1/alerts"),
        (
            {"webhook": "https://a.example/?token=b"},
            {"webhook": "http://10.0.0.1/alerts"},
            "https://a.example/?token=b",
        ),
    ],
    ids=["setting", "secret"],
)
def test_alerts_go_to_the_webhook_of_the_settings_or_of_the_secret(
    secrets: dict[str, Secret], settings: dict[str, str], url: str
) -> None:
    config = alertmanager(secrets, **settings)
    assert config["route"]["receiver"] == "webhook"
    assert config["receivers"][1] == {"name": "webhook", "webhook_configs": [{"url": url}]}


def test_without_a_webhook_alerts_are_not_sent() -> None:
    assert alertmanager({})["route"]["receiver"] == "nobody"


def test_a_secret_of_several_entries_is_no_webhook() -> None:
    with pytest.raises(InvalidConfig, match="webhook: the secret has several entries"):
        alertmanager({"webhook": {"url": "http://a.example", "token": "b"}})


@pytest.mark.parametrize("webhook", ["a.example/alerts", "file:///etc/passwd", "http:///alerts", "http://a b"])
def test_a_webhook_that_is_no_url_is_refused_by_its_schema(webhook: str) -> None:
    schema = Draft202012Validator(mapping_of(ROLE.schemas["webhook"]))
    assert not schema.is_valid(webhook)
    assert schema.is_valid("https://a.example/alerts?b=c")
    assert schema.is_valid("")


@pytest.mark.parametrize(("interval", "lookback"), [("5s", "30s"), ("15s", "45s"), ("1m", "180s")])
def test_series_end_after_three_intervals_or_half_a_minute_without_a_sample(interval: str, lookback: str) -> None:
    assert f'LOOKBACK="{lookback}"\n' in rendered("/etc/samovar/prometheus.env", {}, interval=interval).content
    drop_in = MONITORING / "rootfs/etc/systemd/system/prometheus.service.d/10-samovar.conf"
    assert "--query.lookback-delta=${LOOKBACK} " in drop_in.read_text()


@pytest.mark.parametrize(("interval", "seconds"), [("5s", 5), ("30s", 30), ("1m", 60)])
def test_every_rate_has_samples_even_where_a_look_failed(interval: str, seconds: int) -> None:
    """Prometheus has no rate of less than two samples, and an alert on it would never fire."""
    windows = re.findall(r"\[(\d+)([sm])\]", rendered("/etc/prometheus/rules.yml", {}, interval=interval).content)
    assert min(int(number) * (60 if unit == "m" else 1) for number, unit in windows) == max(60, 4 * seconds)


@pytest.mark.parametrize("interval", ["", "0s", "5", "1m30s", "500ms", "61s", "2m"])
def test_an_interval_is_a_number_of_seconds_up_to_a_minute(interval: str) -> None:
    schema = Draft202012Validator(mapping_of(ROLE.schemas["interval"]))
    assert not schema.is_valid(interval)
    assert schema.is_valid("15s")
    assert schema.is_valid("1m")


def test_the_data_disk_holds_all_metrics_and_journals_with_room_to_spare() -> None:
    disk = yaml.safe_load((LIBRARY / "groups/monitoring.yaml").read_text())["data_disks"]["data"]["size"]
    assert (disk, ROLE.defaults["retention_size"], ROLE.defaults["journal_size"]) == ("10G", "6GB", "2G")
    assert 6e9 + 2 * 2**30 < 0.85 * 0.93 * 10 * 2**30  # of the disk 5 % are root's, and two the file system's own
