"""What a file may not ask for, because it would break what the service promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.core.errors import ConfigError
from samovar.project.environment import SecretKind
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
    assert postgres.data_disk is not None
    assert (postgres.data_disk.size, postgres.ports, [*postgres.secrets]) == (
        10 * 2**30,
        (5432,),
        ["postgres_password"],
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("image: bingo\n    size: 2", "image: bingo\n    size: 1", "group bingo: an internal balancer"),
        ("zones: [ru-central1-a]", "zones: [ru-central1-a, ru-central1-b]", "let size be 4 or more"),
        (
            "app: bingo",
            "app: binga",
            "upstream binga is no group and no external server; there: nginx, bingo, postgres",
        ),
        ("database: postgres", "database: nginx", "upstream cycle: nginx -> bingo -> nginx"),
        ("groups:", "external:\n  bingo: {host: a.example, port: 1}\ngroups:", "external.bingo: a group has this name"),
        ("kind: postgres", "kind: postgres\n    size: 2", "a data disk is attached to one machine"),
        ("kind: edge", "kind: edge\n    secrets: [key]", "secret key does not stand in secrets"),
        ("kind: edge", "kind: edge\n    balancer: {type: internal}", "no external balancer has an address"),
        ("kind: postgres", "kind: postgres\n    data_disk: {type: floppy}", "network-ssd"),
        ("kind: postgres", "kind: postgres\n    ports: [70000]", "ports"),
        ("postgres_password: password", "postgres_password: guess", "secrets"),
    ],
)
def test_inconsistent_groups_are_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_environment("dev", changed(tmp_path, old, new))
    assert says in str(error.value)
    assert str(tmp_path / "dev/config.yaml") in error.value.message
