"""A group takes from its kind what does not stand in the environment's own file."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.core.errors import ConfigError
from samovar.project import group_kind
from samovar.project.environment import load_environment
from samovar.project.project import Project
from tests.support.checkout import project_in

KIND = """
image: nginx
machine: {cores: 4, core_fraction: 20, memory: 2G, disk: 5G}
ports: [8081]
balancer: {type: external, listeners: {http: 80}}
settings: {a: 1, b: 2}
"""
ENVIRONMENT = """
zones: [ru-central1-a]
network: {cidr: 10.1.0.0/16}
groups:
  web:
    kind: edge
    size: 2
"""


def write(folder: Path, own: str = "", kind: str = KIND) -> Project:
    environments, kinds = folder / "envs", folder / "groups"
    (environments / "dev").mkdir(parents=True)
    kinds.mkdir()
    (environments / "dev/config.yaml").write_text(ENVIRONMENT + own)
    (kinds / "edge.yaml").write_text(kind)
    return project_in(folder)


def test_group_has_the_values_of_its_kind(tmp_path: Path) -> None:
    web = load_environment("dev", write(tmp_path)).group("web")
    assert (web.image, web.size, web.ports, web.machine.cores) == ("nginx", 2, (8081,), 4)
    assert web.balancer is not None


def test_mappings_of_a_group_are_merged_into_the_kinds(tmp_path: Path) -> None:
    own = "    machine: {memory: 4G}\n    settings: {b: 3}\n    ports: []\n    balancer: null\n"
    web = load_environment("dev", write(tmp_path, own)).group("web")
    assert (web.machine.cores, web.machine.memory) == (4, 4 * 2**30)
    assert dict(web.settings) == {"a": 1, "b": 3}
    assert (web.ports, web.balancer) == ((), None)


def test_each_data_disk_of_a_group_is_merged_into_the_kinds(tmp_path: Path) -> None:
    kind = KIND + "data_disks: {data: {size: 10G, type: network-hdd, seed: once}}\n"
    own = "    data_disks: {data: {size: 20G}, files: {size: 1G, mount: /srv/files}}\n"
    project = write(tmp_path, own, kind)
    config = project.envs / "dev/config.yaml"
    config.write_text(config.read_text().replace("size: 2\n", "size: 1\n"))
    disks = load_environment("dev", project).group("web").data_disks
    assert {name: (disk.size >> 30, disk.type, disk.seed, disk.mount) for name, disk in disks.items()} == {
        "data": (20, "network-hdd", "once", None),
        "files": (1, "network-ssd", None, "/srv/files"),
    }


def test_a_kind_with_a_parent_states_only_what_differs(tmp_path: Path) -> None:
    project = write(tmp_path, "    machine: {disk: 8G}\n", "parent: web\nmachine: {memory: 4G}\n")
    (project.groups / "web.yaml").write_text(KIND.replace(", disk: 5G", ""))
    machine = load_environment("dev", project).group("web").machine
    assert (machine.cores, machine.core_fraction, machine.memory >> 30, machine.disk >> 30) == (4, 20, 4, 8)


def test_a_key_that_neither_a_group_nor_its_kind_states_is_missing(tmp_path: Path) -> None:
    project = write(tmp_path, kind=KIND.replace(", disk: 5G", ""))
    with pytest.raises(ConfigError) as error:
        load_environment("dev", project)
    assert error.value.message == f"{project.envs / 'dev/config.yaml'}:5: groups.web.machine.disk: the key is missing"


def test_unknown_kind_names_the_line_and_lists_those_that_exist(tmp_path: Path) -> None:
    project = write(tmp_path)
    (project.groups / "edge.yaml").rename(project.groups / "web.yaml")
    with pytest.raises(ConfigError) as error:
        load_environment("dev", project)
    assert f"{project.envs / 'dev/config.yaml'}:6: groups.web.kind: no kind edge" in error.value.message
    assert error.value.remedy.startswith("kinds: web")


def test_a_kind_builds_on_one_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "edge.yaml").write_text(KIND.replace("nginx", "samovar/edge"))
    monkeypatch.setattr(group_kind, "LIBRARY_KINDS", library)
    project = write(tmp_path, kind="parent: samovar/edge\nsettings: {b: 3}\n")
    web = load_environment("dev", project).group("web")
    assert (web.image, dict(web.settings)) == ("samovar-edge", {"a": 1, "b": 3})
    assert "samovar/edge" in group_kind.kind_names(project.groups)


def test_kinds_that_build_on_each_other_are_refused(tmp_path: Path) -> None:
    project = write(tmp_path, kind="parent: web\n")
    (project.groups / "web.yaml").write_text("parent: edge\n")
    with pytest.raises(ConfigError) as error:
        load_environment("dev", project)
    assert f"{project.groups / 'web.yaml'}:1: parent: kind edge builds on itself" in error.value.message


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (f"{KIND}sizes: 3\n", "7: sizes: unknown key"),
        (KIND.replace("[8081]", "[0]"), "4: ports.0: "),
        (f"{KIND}egress: [{{protocol: udp}}]\n", "7: egress.0.port: the key is missing"),
        (f"{KIND}ingress: [{{port: 80}}]\n", "7: ingress.0.from: the key is missing"),
        (f"{KIND}ingress: [{{port: 80, from: 10.8.0.1/16}}]\n", "7: ingress.0.from: "),
        (KIND.replace("memory: 2G", "memory: 200G"), "3: machine: "),
        ("parent: samovar/edge\nmachine: {memory: 200G}\n", "2: machine: "),
        ("parent: [edge]\n", "1: parent: "),
        ("- parent\n", "1: "),
    ],
)
def test_invalid_kind_names_its_own_file(tmp_path: Path, kind: str, message: str) -> None:
    project = write(tmp_path, kind=kind)
    with pytest.raises(ConfigError) as error:
        load_environment("dev", project)
    assert f"{project.groups / 'edge.yaml'}:{message}" in error.value.message


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        ("[{port: 80, from: 0.0.0.0/0}]", "0.0.0.0/0 is the whole internet: machines without `public`"),
        ("[{port: 22, from: 128.0.0.0/1}]\n    public: true", "128.0.0.0/1 is the whole internet: SSH is for"),
    ],
)
def test_ingress_from_everywhere_is_refused(tmp_path: Path, ways: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_environment("dev", write(tmp_path, f"    ingress: {ways}\n"))
    assert f"config.yaml:8: groups.web.ingress.0.from: {message}" in error.value.message
    assert "name the range" in error.value.remedy


@pytest.mark.parametrize(
    "ways", ["[{port: 53, protocol: udp, from: 0.0.0.0/0}]\n    public: true", "[{port: 22, from: 10.0.0.0/8}]"]
)
def test_ingress_takes_everywhere_to_public_machines_and_ranges_to_all(tmp_path: Path, ways: str) -> None:
    (way,) = load_environment("dev", write(tmp_path, f"    ingress: {ways}\n")).group("web").ingress
    assert str(way.source) in ways
