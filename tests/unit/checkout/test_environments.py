"""A file is refused that would break what the service promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from samovar.core.errors import ConfigError
from samovar.deploy.group_metadata import machine_metadata
from samovar.deploy.rollout import load_desired
from samovar.project.environment_options import SecretKind
from tests.support.checkout import ENVIRONMENTS
from tests.support.checkout import environment as load_environment


def changed(folder: Path, old: str, new: str) -> Path:
    text = (ENVIRONMENTS / "dev/config.yaml").read_text()
    assert old in text
    (folder / "dev").mkdir()
    (folder / "dev/config.yaml").write_text(text.replace(old, new, 1))
    return folder


def test_dev_is_loaded_with_upstreams_balancers_and_secrets() -> None:
    dev = load_environment("dev")
    assert dev.secrets == {"certificate": SecretKind.CERTIFICATE, "postgres_password": SecretKind.PASSWORD}
    assert (dev.group("nginx").upstreams, dev.group("bingo").upstreams) == ({"app": "bingo"}, {"database": "postgres"})
    postgres = dev.group("postgres")
    assert (postgres.data_disks["data"].size, postgres.ports, [*postgres.secrets]) == (
        10 * 2**30,
        (5432,),
        ["postgres_password"],
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image: bingo\n    size: 2", "image: bingo\n    size: 1", "groups.bingo.size: an internal balancer"),
        ("zones: [ru-central1-a]", "zones: [ru-central1-a, ru-central1-b]", "let size be 4 or more"),
        (
            "app: bingo",
            "app: binga",
            "groups.nginx.upstreams.app: there is no group and no external server binga",
        ),
        (
            "database: postgres",
            "database: nginx",
            "groups.bingo.upstreams.database: nginx asks bingo asks nginx: each needs the address of the next one",
        ),
        ("groups:", "external:\n  bingo: {host: a.example, port: 1}\ngroups:", "external.bingo: a group has this name"),
        ("kind: postgres", "kind: postgres\n    size: 2", "a data disk is attached to one machine"),
        (
            "kind: edge",
            "kind: edge\n    secrets: [key]",
            "groups.nginx.secrets.key: there is no secret key among those of the environment",
        ),
        ("kind: edge", "kind: edge\n    balancer: {type: internal}", "no external balancer has an address"),
        ("kind: postgres", "kind: postgres\n    data_disks: {data: {type: floppy}}", "network-ssd"),
        ("kind: postgres", "kind: postgres\n    ports: [70000]", "ports"),
        ("postgres_password: password", "postgres_password: guess", "secrets"),
    ],
)
def test_inconsistent_groups_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_environment("dev", changed(tmp_path, old, new))
    assert message in str(error.value)
    assert str(tmp_path / "dev/config.yaml") in error.value.message


def test_group_names_have_no_meaning_to_the_engine(tmp_path: Path) -> None:
    """An edge finds its peers and its application, and that one its database, whatever the groups are called."""
    names = {"nginx": "front", "bingo": "shop", "postgres": "rows"}
    text = (ENVIRONMENTS / "dev/config.yaml").read_text()
    for old, new in names.items():
        text = re.sub(rf"^  {old}:$", f"  {new}:", text, flags=re.MULTILINE)
        text = re.sub(rf"(upstreams: {{\w+: ){old}}}", rf"\g<1>{new}}}", text)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/config.yaml").write_text(text)
    dev, renamed = load_environment("dev"), load_environment("dev", tmp_path)
    assert [group.name for group in renamed.groups] == [*names.values()]
    assert load_desired(renamed).resources
    for old, new in names.items():
        was = yaml.safe_load(machine_metadata(dev, dev.group(old))["samovar-settings"])
        now = yaml.safe_load(machine_metadata(renamed, renamed.group(new))["samovar-settings"])
        assert now.keys() == was.keys()
        assert now.get("upstreams", {}).keys() == was.get("upstreams", {}).keys()
        assert [each["group"] for each in now.get("upstreams", {}).values()] == [
            names[each["group"]] for each in was.get("upstreams", {}).values()
        ]
        assert now.get("peers", {}).get("group", new) == new
