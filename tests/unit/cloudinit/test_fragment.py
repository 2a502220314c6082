"""Fragments of cloud-config: what is one, and how several become one user-data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from samovar.cloudinit.fragment import load_fragment, merge
from samovar.cloudinit.metadata import instance_metadata, user_data
from samovar.core.errors import ConfigError
from samovar.deploy.group_metadata import machine_metadata
from samovar.project.environment import load_environment
from tests.support.checkout import project_in

HEADER = "#cloud-config\n"
SWAP = f"{HEADER}swap: {{filename: /swap, size: 512M}}\nruncmd:\n  - [swapon, --show]\n"
TUNE = f"{HEADER}write_files:\n  - {{path: /etc/9.conf, content: vm.swappiness=1}}\nruncmd: [sysctl --system]\n"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def test_fragments_are_merged_in_their_order_and_keep_the_template(tmp_path: Path) -> None:
    paths = [write(tmp_path, "swap", SWAP), write(tmp_path, "tune", TUNE)]
    text = user_data(operator_keys=["ssh-ed25519 AAAA"], fragments=paths)
    merged = yaml.safe_load(text)
    assert text.startswith(HEADER)
    assert merged["runcmd"] == [["swapon", "--show"], "sysctl --system"]
    assert merged["swap"] == {"filename": "/swap", "size": "512M"}
    plain = yaml.safe_load(user_data(operator_keys=["ssh-ed25519 AAAA"]))
    assert {key: merged[key] for key in plain} == plain
    assert "{" not in text
    assert instance_metadata("nginx", {}, cloud_config=text)["user-data"] == text


def test_without_fragments_the_user_data_is_the_template_to_the_letter() -> None:
    assert user_data(fragments=()) == user_data()


def test_lists_are_joined_and_mappings_merged_at_every_depth(tmp_path: Path) -> None:
    base = f"{HEADER}apt:\n  conf: a\n  sources:\n    one: x\nusers: []\n"
    fragment = yaml.safe_load("apt: {sources: {two: y}, conf: a}\nusers: [{name: ann}]")
    merged = yaml.safe_load(merge(base, [(tmp_path, fragment)]))
    assert merged == {"apt": {"conf": "a", "sources": {"one": "x", "two": "y"}}, "users": [{"name": "ann"}]}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("runcmd: []\n", 1, "not cloud-config"),
        ("#!/bin/sh\n", 1, "not cloud-config"),
        (HEADER, 1, "cloud-config is a mapping"),
        (f"{HEADER}- a\n", 1, "cloud-config is a mapping"),
        (f"{HEADER}runcmd: [a]\npackges: [vim]\n", 3, "packges: no key of cloud-config"),
        (f"{HEADER}runcmd: echo\n", 2, "runcmd: 'echo' is not of type 'array'"),
        (f"{HEADER}\nswap: 1G\n", 3, "swap: '1G' is not of type 'object'"),
        (f"{HEADER}timezone: [UTC]\n", 2, "timezone: ['UTC'] is not of type 'string'"),
        (f"{HEADER}runcmd:\n  - a\n  - 3\n", 4, "runcmd.1: 3 is not valid"),
        (f"{HEADER}ntp:\n  servers: 3\n", 3, "ntp.servers: 3 is not of type 'array'"),
        (f"{HEADER}users:\n  - {{nam: x}}\n", 3, "users.0: {'nam': 'x'} is not valid"),
        (f"{HEADER}write_files: [{{content: a}}]\n", 2, "write_files.0: 'path' is a required property"),
        (f"{HEADER}runcmd: [\n", 3, "not YAML"),
        (f"{HEADER}timezone: UTC\ntimezone: UTC\n", 3, "the key stands twice"),
    ],
)
def test_an_invalid_fragment_is_refused_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = write(tmp_path, "bad", text)
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        load_fragment(path)
    assert error.value.message.startswith(f"{path}:{line}: ")


def test_the_error_of_a_mistyped_key_names_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_fragment(write(tmp_path, "bad", f"{HEADER}packges: [vim]\n"))
    assert error.value.remedy.startswith("did you mean packages?")


def test_a_fragment_that_contradicts_the_template_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "open", f"{HEADER}runcmd: [a]\nssh_pwauth: true\n")
    with pytest.raises(ConfigError, match="ssh_pwauth: True contradicts False") as error:
        user_data(fragments=[path])
    assert error.value.message.startswith(f"{path}:3: ")


def test_braces_do_not_arrive_at_a_machine_and_the_fragment_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "braces", f"{HEADER}runcmd: ['echo ${{HOME}}']\n")
    with pytest.raises(ConfigError, match="braces do not arrive") as error:
        user_data(fragments=[path])
    assert error.value.message.startswith(f"{path}:2: runcmd.0: ")


CONFIG = """\
zones: [ru-central1-a]
network: {cidr: 10.30.0.0/16}
groups:
  web:
    image: web
    size: 1
    machine: {memory: 2G, disk: 5G}
    cloudinit: [swap]
"""


def test_a_group_names_fragments_of_the_project(tmp_path: Path) -> None:
    for folder in ("envs/dev", "cloudinit"):
        (tmp_path / folder).mkdir(parents=True)
    config = tmp_path / "envs/dev/config.yaml"
    config.write_text(CONFIG)
    dev = load_environment("dev", project_in(tmp_path))
    with pytest.raises(ConfigError, match="no fragment swap") as error:
        machine_metadata(dev, dev.group("web"))
    assert error.value.message.startswith(f"{config}:8: groups.web.cloudinit: ")
    write(tmp_path / "cloudinit", "swap", SWAP)
    assert "swapon" in machine_metadata(dev, dev.group("web"))["user-data"]
