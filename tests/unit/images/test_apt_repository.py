"""Repositories beside Debian's: what of them is in the image, and what is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from samovar.core.errors import ConfigError
from samovar.images.bake_input import write_spec
from samovar.images.definition import ImageDefinition
from samovar.images.load import load_images
from tests.support.checkout import project_in

ARMORED = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n"


def load(root: Path, entry: str, key: bytes = ARMORED, parent: str = "parent: samovar/base") -> ImageDefinition:
    folder = root / "images/shop"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key").write_bytes(key)
    text = f"description: a shop\n{parent}\nrepositories:\n  - {entry}\n"
    (folder / "image.yaml").write_text(text)
    return load_images(project_in(root))["shop"]


@pytest.mark.parametrize(("key", "suffix"), [(ARMORED, "asc"), (b"\x98\x33\x04", "gpg"), (b"\xc6\x33\x04", "gpg")])
def test_repository_is_a_sources_file_and_its_key(tmp_path: Path, key: bytes, suffix: str) -> None:
    image = load(tmp_path, "{url: 'https://packages.example/debian', suite: trixie, key: key}", key)
    files = {file.target: file.data for file in image.files}
    keyring = f"/etc/apt/keyrings/samovar-shop-0.{suffix}"
    assert files[keyring] == key
    assert files["/etc/apt/sources.list.d/samovar-shop-0.sources"].decode().splitlines() == [
        "Types: deb",
        "URIs: https://packages.example/debian",
        "Suites: trixie",
        "Components: main",
        f"Signed-By: {keyring}",
    ]


def test_flat_repository_has_no_components(tmp_path: Path) -> None:
    image = load(tmp_path, "{url: 'http://packages.example', suite: ./, key: key}")
    assert not any(b"Components" in file.data for file in image.files)


def test_files_of_apt_are_put_in_place_before_packages(tmp_path: Path) -> None:
    image = load(tmp_path / "project", "{url: 'http://packages.example', suite: ./, key: key}")
    write_spec(tmp_path / "spec", image, ())
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "spec/apt.tar").read_bytes())) as tar:
        assert sorted(tar.getnames()) == [
            "etc/apt/keyrings/samovar-shop-0.asc",
            "etc/apt/sources.list.d/samovar-shop-0.sources",
        ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "{url: 'https://x', suite: a, key: image.yaml}",
            ":4: repositories.0.key: image.yaml is no public key of OpenPGP",
        ),
        ("{url: 'https://x', suite: a, key: empty}", ":4: repositories.0.key: empty is no public key of OpenPGP"),
        ("{url: 'https://x', suite: a, key: none}", ":4: repositories.0.key: none: No such file"),
        ("{url: 'file:///x', suite: a, key: key}", ":4: repositories.0.url: 'file:///x' is not of the form"),
        ("{url: 'https://x', suite: 'a b', key: key}", ":4: repositories.0.suite: 'a b' is not of the form"),
        ("{url: 'https://x', suite: a}", ":4: repositories.0.key: the key is missing"),
    ],
)
def test_repository_that_apt_would_not_take_is_refused(tmp_path: Path, entry: str, message: str) -> None:
    (tmp_path / "images/shop").mkdir(parents=True)
    (tmp_path / "images/shop/empty").touch()
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, entry)
    assert message in caught.value.message


def test_root_image_knows_no_other_repositories(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a root image is Debian's alone"):
        load(tmp_path, "{url: 'https://x', suite: a, key: key}", parent="suite: trixie")
