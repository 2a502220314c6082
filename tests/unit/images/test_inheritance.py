"""A role.yaml is laid over those of its parents; a parent in another version of its program is an image of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from samovar.agent.role import Template, read_role
from samovar.core.errors import ConfigError
from samovar.images.definition import ImageDefinition, digest_of, digests
from samovar.images.inheritance import ROLES
from samovar.images.load import load_images
from tests.support.checkout import PROJECT, project_in

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


KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
REPOSITORY = "repositories: [{url: 'https://packages.example', suite: trixie-pgdg, key: key.asc}]\n"
DATABASE = f'parent: samovar/postgres\nversion: "16"\n{REPOSITORY}'


def load(folder: Path, **images: str) -> dict[str, ImageDefinition]:
    for name, text in images.items():
        (folder / "images" / name).mkdir(parents=True, exist_ok=True)
        (folder / "images" / name / "image.yaml").write_text(f"description: x\n{text}")
        (folder / "images" / name / "key.asc").write_text(KEY)
    return dict(load_images(project_in(folder)))


def test_postgresql_is_debians_by_default(tmp_path: Path) -> None:
    images = load(tmp_path, rows="parent: samovar/postgres\npackages: ['postgresql-{version}-postgis-3']\n")
    assert "postgresql-17" in images["samovar-postgres"].packages
    assert "/var/lib/postgresql/17" in images["samovar-postgres"].absent
    assert (images["rows"].parent, images["rows"].packages) == ("samovar-postgres", ("postgresql-17-postgis-3",))
    assert images["rows"].data_format == images["samovar-postgres"].data_format == "postgresql-17"


def test_another_version_has_the_files_and_scripts_of_the_parent(tmp_path: Path) -> None:
    images = load(tmp_path, rows=f"{DATABASE}packages: ['postgresql-{{version}}-postgis-3']\n")
    parent, rows = images["samovar-postgres"], images["rows"]
    assert rows.parent == "samovar-base"
    assert {"postgresql-16", "postgresql-16-postgis-3", "zstd"} <= {*rows.packages}
    assert not any("17" in package for package in rows.packages)
    assert "/var/lib/postgresql/16" in rows.absent
    assert (parent.data_format, rows.data_format) == ("postgresql-17", "postgresql-16")
    assert (rows.scripts, rows.services) == (parent.scripts, parent.services)
    added = {file.target for file in rows.files} - {file.target for file in parent.files}
    assert added == {
        "/etc/apt/keyrings/samovar-rows-0.asc",
        "/etc/apt/sources.list.d/samovar-rows-0.sources",
        "/usr/lib/samovar/roles/rows.yaml",
    }
    assert digests(images)["samovar-postgres"] == digests(load_images(PROJECT))["samovar-postgres"]


def test_a_file_of_its_own_takes_the_place_of_the_parents(tmp_path: Path) -> None:
    target = "etc/samovar/postgres/pg_hba.conf"
    (tmp_path / "images/rows/rootfs" / target).parent.mkdir(parents=True)
    (tmp_path / "images/rows/rootfs" / target).write_text("local all all peer\n")
    files = [file.data for file in load(tmp_path, rows=DATABASE)["rows"].files if file.target == f"/{target}"]
    assert files == [b"local all all peer\n"]


def test_images_between_are_merged_too_and_children_build_on_the_result(tmp_path: Path) -> None:
    between = "parent: samovar/postgres\npackages: [tree]\n"
    images = load(
        tmp_path,
        between=between,
        rows=f'parent: between\nversion: "16"\n{REPOSITORY}',
        back='parent: rows\nversion: "17"\n',
        same='parent: rows\nversion: "16"\npackages: [jq]\n',
    )
    assert images["rows"].parent == images["back"].parent == "samovar-base"
    assert {"postgresql-16", "tree"} <= {*images["rows"].packages}
    assert {"postgresql-17", "tree"} <= {*images["back"].packages}
    assert (images["same"].parent, images["same"].packages) == ("rows", ("jq",))


def test_a_data_format_is_the_value_of_a_label_and_makes_no_other_image(tmp_path: Path) -> None:
    text = DATABASE.replace('"16"', '"16.1~RC2"')
    rows = load(tmp_path, rows=text)["rows"]
    assert rows.data_format == "postgresql-16-1-rc2"
    assert digest_of(rows, "") == digest_of(replace(rows, data_format=""), "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "parent: samovar/base\npackages: ['x-{version}']\n",
            ":3: packages.0: x-{version} of an image without a version",
        ),
        ("parent: samovar/base\ndata_format: 'x-{version}'\n", ":3: data_format: x-{version} of an image without a"),
        ("parent: samovar/base\ndata_format: X\n", ":3: data_format: 'X' is not of the form"),
        ("parent: samovar/postgres\nversion: 16\n", ":3: version: text is expected"),
        ("parent: samovar/postgres\nversion: --force\n", ":3: version: '--force' is not of the form"),
        ("suite: trixie\nversion: '16'\n", "a root image has no version"),
        ("parent: samovar/base\nversion: '1'\napplication: {source: x, target: /x}\n", "version is of packages"),
    ],
)
def test_a_version_without_effect_or_of_a_wrong_form_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, rows=text)
    assert message in caught.value.message
