"""The versions that apt would install now, from the repositories of an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.core.errors import ProcessFailed
from samovar.images import listing
from samovar.images.apt_repository import repository_files
from samovar.images.definition import InputFile
from samovar.images.listing import mirror_versions
from samovar.images.load import load_images
from tests.support.apt_repository import SUITE, Served, serve_repository
from tests.support.checkout import project_in


@pytest.fixture(autouse=True)
def _own_cache_and_no_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mirror of Debian takes seconds, and has nothing to do with it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(listing, "sources_for", lambda _: ())


def files_of(folder: Path, served: Served, key: Path) -> tuple[InputFile, ...]:
    """Return the files of a repository that an image inherits from its parent."""
    for name in ("shop", "child"):
        (folder / "images" / name).mkdir(parents=True, exist_ok=True)
    (folder / "images/shop/key.asc").write_bytes(key.read_bytes())
    entry = f"repositories: [{{url: '{served.url}', suite: {SUITE}, key: key.asc}}]\n"
    (folder / "images/shop/image.yaml").write_text(f"description: x\nparent: samovar/base\n{entry}")
    (folder / "images/child/image.yaml").write_text("description: x\nparent: shop\n")
    return repository_files("child", load_images(project_in(folder)))


def test_versions_come_from_the_repositories_of_an_image_and_of_its_parents(tmp_path: Path) -> None:
    with serve_repository(tmp_path / "repository", {"shop": {"usr/bin/shop": b"#!/bin/sh\n"}}) as served:
        own = files_of(tmp_path, served, served.key)
        assert mirror_versions("trixie", own, ["shop", "bash"]) == {"shop": "1"}
        assert mirror_versions("trixie", (), ["shop"]) == {}
        with pytest.raises(ProcessFailed, match=r"is not signed|NO_PUBKEY|Missing key"):
            mirror_versions("trixie", files_of(tmp_path, served, served.other_key), ["shop"])
