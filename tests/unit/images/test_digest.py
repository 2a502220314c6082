"""The digest changes with every input, of the image and of its parents, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.images.definition import ImageDefinition, InputFile, InputLink, Script, digest_of, digests, image_name

IMAGE = ImageDefinition(
    name="nginx",
    description="an edge",
    parent="base",
    suite=None,
    packages=("nginx", "curl"),
    files=(InputFile("/etc/a", 0o644, "root:root", b"a"),),
    services=("nginx.service",),
    scripts=(Script("scripts/a.sh", b"true"),),
    commands=(("nginx", "-t"),),
    absent=("/etc/b",),
    steps=(Script("bake.sh", b"bake"),),
    links=(InputLink("/etc/l", "a"),),
)
BASE = replace(IMAGE, name="base", parent=None, suite="trixie")
CHANGES: dict[str, Any] = {
    "name": "edge",
    "description": "another",
    "parent": "other",
    "suite": "forky",
    "packages": ("curl", "nginx"),
    "services": (),
    "commands": (("nginx", "-t"), ("true",)),
    "absent": (),
}
INNER_CHANGES: list[dict[str, Any]] = [
    {"files": (replace(IMAGE.files[0], target="/etc/c"),)},
    {"files": (replace(IMAGE.files[0], mode=0o600),)},
    {"files": (replace(IMAGE.files[0], owner="root:adm"),)},
    {"files": (replace(IMAGE.files[0], data=b"b"),)},
    {"scripts": (replace(IMAGE.scripts[0], data=b"false"),)},
    {"scripts": ()},
    {"links": ()},
    {"links": (InputLink("/etc/l", "b"),)},
    {"steps": (Script("bake.sh", b"bake better"),)},
]


@pytest.mark.parametrize("change", [*({key: value} for key, value in CHANGES.items()), *INNER_CHANGES], ids=str)
def test_digest_covers_every_input(change: dict[str, Any]) -> None:
    assert digest_of(replace(IMAGE, **change), "p") != digest_of(IMAGE, "p")


def test_digest_of_a_child_covers_its_parent() -> None:
    before = digests({"base": BASE, "nginx": IMAGE})
    after = digests({"base": replace(BASE, packages=("curl",)), "nginx": IMAGE})
    assert {name for name in before if before[name] != after[name]} == {"base", "nginx"}


def test_digest_of_a_parent_does_not_cover_its_children() -> None:
    before = digests({"base": BASE, "nginx": IMAGE})
    after = digests({"base": BASE, "nginx": replace(IMAGE, packages=())})
    assert {name for name in before if before[name] != after[name]} == {"nginx"}


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_different_package_lists_have_different_digests(one: list[str], other: list[str]) -> None:
    """However their words are cut: ["ab", "c"] is not ["a", "bc"]."""
    same = digest_of(replace(IMAGE, packages=tuple(one)), "") == digest_of(replace(IMAGE, packages=tuple(other)), "")
    assert same == (one == other)


def test_image_name_has_twelve_digits_of_the_digest() -> None:
    digest = digest_of(IMAGE, "")
    assert len(digest) == 64
    assert image_name("nginx", digest) == f"samovar-nginx-{digest[:12]}"
    assert image_name("samovar-base", digest) == f"samovar-base-{digest[:12]}"
