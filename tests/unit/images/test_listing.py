"""Packages that the mirror has in another version, and images that are published anew for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.images.listing import OutdatedPackage, candidates, outdated_packages
from samovar.images.publish import Published, to_publish
from samovar.images.store import BakedImage

POLICY = """\
bash:
  Installed: (none)
  Candidate: 5.2.37-2
  Version table:
     5.2.37-2 500
        500 http://mirror.example/debian trixie/main amd64 Packages
gone:
  Installed: (none)
  Candidate: (none)
  Version table:
libc6:
  Installed: (none)
  Candidate: 2.41-12+deb13u1
"""
BAKED = BakedImage("nginx", "0" * 64, Path("nginx.raw"), 1, {"bash": "5.2"})
NAME = "samovar-nginx-000000000000"


def there(name: str, manifest: str) -> tuple[Published, ...]:
    return (Published("img", name, "nginx", "0" * 12, manifest, 1, "2026-01-02T03:04:05Z"),)


def test_candidates_are_read_from_apt_cache_policy() -> None:
    assert candidates(POLICY) == {"bash": "5.2.37-2", "libc6": "2.41-12+deb13u1"}


def test_outdated_packages_differ_from_the_mirror() -> None:
    baked = {"libc6": "2.41-12", "bash": "5.2.37-2", "gone": "1"}
    assert outdated_packages(baked, candidates(POLICY)) == (OutdatedPackage("libc6", "2.41-12", "2.41-12+deb13u1"),)


@pytest.mark.parametrize(
    ("published", "force", "refresh", "expected"),
    [
        ((), False, False, True),
        (there(NAME, "another"), False, False, False),
        (there(NAME, "another"), False, True, True),
        (there(NAME, BAKED.manifest_digest[:12]), False, True, False),
        (there(NAME, BAKED.manifest_digest[:12]), True, False, True),
        (there("samovar-nginx-111111111111", BAKED.manifest_digest[:12]), False, False, True),
    ],
)
def test_to_publish_missing_forced_and_refreshed_images(
    *, published: tuple[Published, ...], force: bool, refresh: bool, expected: bool
) -> None:
    assert to_publish(BAKED, published, force=force, refresh=refresh) is expected
