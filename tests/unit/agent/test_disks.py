"""The agent has systemd mount the data disks before it configures anything, and says what the unit says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from samovar.agent.agent import Agent
from samovar.agent.clients import Metadata
from samovar.agent.disks import read_disks
from samovar.agent.inputs import Facts, Machine
from samovar.agent.role import InvalidConfig

SETTINGS = """
disks:
  inner: {mount: /srv/all/inner, filesystem: xfs, options: "noatime,nodev", owner: "app:app"}
  outer: {mount: /srv/all, filesystem: ext4, options: noatime}
"""


class Systemd:
    """Starts units, all but those that it is told to refuse."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.started: list[str] = []

    def run(self, command: Sequence[str]) -> None:
        *words, unit = command
        assert words == ["systemctl", "start"]
        if unit in self.refused:
            raise InvalidConfig(f"{unit}: ended with 1")
        self.started.append(unit)


def configured(root: Path, systemd: Systemd) -> str:
    role = root / "usr/lib/samovar/roles/a.yaml"
    role.parent.mkdir(parents=True)
    role.write_text("{}")
    agent = Agent(Metadata("http://127.0.0.1:1"), root, run=systemd.run)
    return agent._configure(Facts(Machine("1", "a-1", "a-1", "10.0.0.1", "z"), "a", SETTINGS))


def test_disks_are_mounted_in_the_order_of_their_folders(tmp_path: Path) -> None:
    systemd = Systemd()
    configured(tmp_path, systemd)
    assert systemd.started == ["samovar-disk@outer.service", "samovar-disk@inner.service"]
    assert (tmp_path / "run/samovar/disks/inner").read_text() == (
        'FILESYSTEM="xfs"\nMOUNT="/srv/all/inner"\nOPTIONS="noatime,nodev"\nOWNER="app:app"\n'
    )
    assert 'OWNER=""\n' in (tmp_path / "run/samovar/disks/outer").read_text()


def test_a_disk_that_cannot_be_mounted_is_reported_with_the_log_of_its_unit(tmp_path: Path) -> None:
    problem = tmp_path / "run/samovar/disks/outer.problem"
    problem.parent.mkdir(parents=True)
    problem.write_text("it holds btrfs\n")
    with pytest.raises(InvalidConfig, match=r"^data disk outer: it holds btrfs$"):
        configured(tmp_path, Systemd("samovar-disk@outer.service"))
    problem.unlink()
    with pytest.raises(InvalidConfig, match=r"data disk outer: .*: ended with 1"):
        Agent(Metadata("http://127.0.0.1:1"), tmp_path, run=Systemd("samovar-disk@outer.service").run)._mount(
            read_disks(SETTINGS)
        )


@pytest.mark.parametrize(
    "disk", ["/srv", "{mount: /srv}", "{mount: /srv, filesystem: ext4, options: 1}", "{mount: /srv, size: 1G}"]
)
def test_an_invalid_disk_is_refused(disk: str) -> None:
    with pytest.raises(InvalidConfig, match="samovar-settings: disks: a: "):
        read_disks(f"disks: {{a: {disk}}}")
