"""A role.yaml is laid over those of the image's parents."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.agent.role import Template, read_role
from samovar.core.errors import ConfigError
from samovar.deploy.validate import ROLES
from samovar.images.load import load_images
from tests.support.checkout import project_in

PARENT = """\
templates:
  - {source: proxy.cfg.j2, target: /etc/proxy.cfg}
  - {source: limits.j2, target: /etc/limits, units: [watchdog.service]}
check: [proxy, --check]
units: [proxy.service, watchdog.service]
defaults: {port: null, hold: 8}
upstreams: {"db": required}
secrets: {token: optional}
"""
OWN = """\
templates:
  - {source: environment.j2, target: /etc/api/environment, mode: "0600"}
  - {source: own.j2, target: /etc/limits, units: [watchdog.service]}
units: [api.service]
defaults: {port: 8080, greeting: hello}
secrets: {token: required}
"""


def write(folder: Path, **roles: str) -> Path:
    """Write the images a, b, c, each with the one before it as its parent."""
    parent = "suite: trixie"
    for name, role in roles.items():
        image = folder / "images" / name
        image.mkdir(parents=True)
        (image / "image.yaml").write_text(f"description: {name}\n{parent}\n")
        (image / "role.yaml").write_text(role)
        parent = f"parent: {name}"
    (folder / "samovar.yaml").touch()
    return folder


def role_of(folder: Path, name: str) -> str:
    files = load_images(project_in(folder))[name].files
    return next(file.data for file in files if file.target == f"{ROLES}/{name}.yaml").decode()


def test_a_role_extends_that_of_its_parent(tmp_path: Path) -> None:
    role = read_role(role_of(write(tmp_path, a=PARENT, b=OWN), "b"), "b")
    proxy = ("proxy.service", "watchdog.service")
    assert role.templates == (
        Template("proxy.cfg.j2", "/etc/proxy.cfg", 0o644, None, proxy, "restart"),
        Template("own.j2", "/etc/limits", 0o644, None, ("watchdog.service",), "restart"),
        Template("environment.j2", "/etc/api/environment", 0o600, None, ("api.service",), "restart"),
    )
    assert role.units == (*proxy, "api.service")
    assert role.check == ("proxy", "--check")
    assert role.defaults == {"port": 8080, "hold": 8, "greeting": "hello"}
    assert (role.upstreams, role.secrets) == ({"db": True}, {"token": True})


def test_a_role_extends_those_of_all_its_parents(tmp_path: Path) -> None:
    role = read_role(role_of(write(tmp_path, a=PARENT, b=OWN, c="check: [own]\ndefaults: {hold: 9}\n"), "c"), "c")
    assert role.check == ("own",)
    assert role.defaults == {"port": 8080, "hold": 9, "greeting": "hello"}


def test_an_only_role_is_taken_as_it_is_written(tmp_path: Path) -> None:
    assert role_of(write(tmp_path, a=PARENT), "a") == PARENT


def test_a_fault_of_one_names_its_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"images/b/role.yaml:1: unit: "):
        load_images(project_in(write(tmp_path, a=PARENT, b="unit: [api.service]\n")))


def test_an_only_role_has_no_alias(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"images/a/role.yaml:1: an alias"):
        load_images(project_in(write(tmp_path, a="defaults: {a: &a [1], b: *a}\n")))
