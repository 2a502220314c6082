"""Any value at a key of an environment's file is accepted, or refused with file, line and remedy."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from samovar.core.errors import ConfigError
from samovar.project.environment import Environment, load_environment
from tests.support.checkout import project_in

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== somebody"
DISK = {"size": "10G", "type": "network-ssd", "on_destroy": "keep"}
COMPLETE: dict[str, Any] = {
    "cloud": "yandex",
    "folder": "b1g1",
    "cloud_id": "b1g2",
    "deletion_protection": False,
    "production": False,
    "zones": ["ru-central1-a"],
    "network": {"id": "enp1"},
    "subnets": {"ru-central1-a": "e9b1"},
    "domain": "tea.example.org",
    "secrets": {"word": "password", "key": {"id": "e6q1"}},
    "external": {"warehouse": {"host": "db.example.org", "port": 6432}},
    "operator": {"ssh_keys": [KEY], "bastion": "edge"},
    "images": {"folder_id": "b1g3"},
    "bake": {"ssh_from": "198.51.100.7/32", "family": "debian-13"},
    "groups": {
        "edge": {
            "image": "samovar/edge",
            "size": 2,
            "autoscale": {
                "type": "regional",
                "min_zone_size": 1,
                "max_size": 6,
                "cpu_utilization": 75,
                "measurement_duration": 60,
                "warmup_duration": 60,
                "stabilization_duration": 300,
                "custom_rules": [
                    {
                        "metric_name": "queue",
                        "rule_type": "workload",
                        "metric_type": "gauge",
                        "target": 10,
                        "labels": {"queue": "q"},
                        "service": "compute",
                        "folder_id": "b1g1",
                    }
                ],
            },
            "machine": {
                "platform": "standard-v3",
                "cores": 2,
                "core_fraction": 20,
                "memory": "1G",
                "disk": "5G",
                "disk_type": "network-ssd",
                "preemptible": False,
            },
            "health": {
                "type": "http",
                "port": 80,
                "path": "/",
                "interval": 5,
                "timeout": 3,
                "healthy": 2,
                "unhealthy": 5,
            },
            "policy": {
                "max_unavailable": 0,
                "max_expansion": 1,
                "max_creating": 0,
                "startup": 0,
                "healing": "recreate",
            },
            "public": True,
            "balancer": {
                "type": "external",
                "listeners": {"http": {"port": 80, "target_port": 8080}, "https": 443},
                "health": {"path": "/-/ready"},
            },
            "settings": {"timeout": 5},
            "upstreams": {"app": "warehouse"},
            "ingress": [{"port": 53, "protocol": "udp", "from": "10.8.0.0/16"}],
            "egress": [{"port": 587, "protocol": "tcp", "to": "198.51.100.0/24"}],
            "ports": [8081],
            "secrets": {"word": "word"},
            "cloudinit": ["swap"],
            "exporters": {"edge": 3903},
            "monitors": False,
            "objectives": "terms",
        },
        "rows": {
            "kind": "store",
            "size": 1,
            "machine": {"memory": "1G", "disk": "5G", "core_fraction": 20},
            "data_disks": {
                "data": {**DISK, "seed": "once", "snapshot_schedule": {"expression": "@daily", "snapshot_count": 7}},
                "files": {
                    **DISK,
                    "mount": "/srv/files",
                    "filesystem": "ext4",
                    "options": ["noatime"],
                    "owner": "app:app",
                },
            },
        },
    },
}
WRONG: tuple[Any, ...] = ("?", "", "10Gb", -1, 0, 10**12, 1.5, True, [], {}, ["?"], [[1]], [{}], {1: 2}, {"?": ["?"]})
"""Wrong types, unknown words, wrong units, numbers out of range. The last one fits no key."""


def keys(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the path to each key and item of a document, but for those of settings, which a role knows."""
    children = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if key != "settings":
            yield (*path, key)
            yield from keys(child, *path, key)


def node(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def load(folder: Path, document: Any) -> tuple[str, ConfigError | None]:
    """Return the text of the file, and the error where it was refused; any other exception is a failure."""
    file, kind = folder / "envs/dev/config.yaml", folder / "groups/store.yaml"
    for each in (file, kind):
        each.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(document, sort_keys=False)
    file.write_text(text)
    kind.write_text("image: samovar/postgres\n")
    try:
        load_environment("dev", project_in(folder))
    except ConfigError as caught:
        error = caught
    else:
        return text, None
    assert error.remedy
    lines = error.message.splitlines()
    assert [line for line in lines if not re.match(rf"{re.escape(str(file))}:\d+: \S", line)] == []
    return text, error


def test_the_complete_file_is_valid_and_has_every_key(tmp_path: Path) -> None:
    assert load(tmp_path, COMPLETE)[1] is None
    schema = Environment.model_json_schema()
    properties = {key for model in (schema, *schema["$defs"].values()) for key in model.get("properties", {})}
    assert properties - {str(path[-1]) for path in keys(COMPLETE)} == {"cidr", "settings"}


@pytest.mark.parametrize("depth", range(1, 1 + max(len(path) for path in keys(COMPLETE))))
def test_wrong_values_are_refused_with_the_lines_of_their_keys(tmp_path: Path, depth: int) -> None:
    """All keys of one depth at once: each is named."""
    paths = [path for path in keys(COMPLETE) if len(path) == depth]
    refused = []
    for value in WRONG:
        document = copy.deepcopy(COMPLETE)
        for path in paths:
            node(document, path[:-1])[path[-1]] = copy.deepcopy(value)  # or YAML would name it once
        _, error = load(tmp_path, document)
        refused += [error.message] if error else []
    assert len(refused) >= len(WRONG) - 3
    names = {".".join(map(str, path)) for path in paths}
    assert {name for name in names if f": {name}" not in refused[-1]} == set()


def test_unknown_keys_are_named_with_their_lines(tmp_path: Path) -> None:
    """Each mapping gets one at once; where keys are names, it is no name."""
    document = copy.deepcopy(COMPLETE)
    for path in [(), *keys(COMPLETE)]:
        if isinstance(node(COMPLETE, path), dict):
            node(document, path)["Zzz?"] = "?"
    text, error = load(tmp_path, document)
    assert error
    lines = {number for number, line in enumerate(text.splitlines(), 1) if "Zzz?" in line}
    named = {int(line.split(":")[1]) for line in error.message.splitlines()}
    assert lines - named == set()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", ":1: zones: the key is missing"),
        (b"a: 1\n\xff\xfe", ":2: not UTF-8 text"),
        (b"zones:\n\t- a\n", ":2: not YAML: "),
        (b"zones: [a]\nzones: [b]\n", ":2: zones: the key stands twice"),
        (b"a: &a [1]\nb: [*a, *a]\n", ":2: an alias"),
        (b"zones: \0", ":1: "),
        (b"? [a]\n: 1\n", ":1: "),
        (b"? {a: 1}\n: 1\n", ":1: "),
        (b"1: a\n", ":1: 1: "),
        (b"zones: 2026-01-01\ngroups: 0x10\n", ":1: zones: "),
        (b"- a\n", ":1: "),
        (b"cloud: local\nzones: [a, 2026-13-45]\n", ":2: not YAML: month must be in 1..12"),
        (b"zones: [a]\nnetwork: " + b"9" * 5000, ":2: not YAML: "),
        (b"groups:\n  on: {size: 1}\n", ":1: groups: YAML reads a key here as True: write it in quotes"),
        (
            b"secrets:\n  A: password\n",
            ":2: secrets.A: the name of a secret has up to 31 small letters, digits and underscores",
        ),
        (b"a: b: c\n", ":1: not YAML: "),
        (b"--- {}\n--- {}\n", ":2: not YAML: "),
        (b"zones: {<<: {a: 1}}\n", ":1: zones: "),
    ],
)
def test_a_file_that_is_no_environment_is_refused_with_its_line(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "envs/dev/config.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    with pytest.raises(ConfigError) as error:
        load_environment("dev", project_in(tmp_path))
    assert f"{file}{message}" in error.value.message
    assert error.value.remedy


@pytest.mark.parametrize(
    ("text", "key", "what"),
    [
        ("zones: [eu-west-1a]", "zones", ".0: a zone is one such as ru-central1-a; not 'eu-west-1a'"),
        (
            "operator: {ssh_keys: [bad]}",
            "operator.ssh_keys",
            ".0: a public key of SSH is one line of a file such as ~/.ssh/id_ed25519.pub; not 'bad'",
        ),
        (
            "groups: {Edge_1: {size: 1}}",
            "groups.Edge_1",
            ": a name has up to 31 small letters, digits and hyphens, a letter first, no hyphen last; not 'Edge_1'",
        ),
    ],
)
def test_a_value_of_a_wrong_form_is_one_fault_in_words(tmp_path: Path, text: str, key: str, what: str) -> None:
    file = tmp_path / "envs/dev/config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"{text}\n")
    with pytest.raises(ConfigError) as error:
        load_environment("dev", project_in(tmp_path))
    faults = [line for line in error.value.message.splitlines() if f": {key}" in line]
    assert f"{file}:1: {key}{what}" in faults
    assert not [line for line in faults if "at least 1" in line]
