"""Tarballs and folders of an application: what goes into the image, and what no image takes."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from samovar.core.errors import ConfigError
from samovar.images.definition import ImageDefinition, digest_of
from samovar.images.load import load_images
from samovar.images.tarball import folder_sha256, pack, repack
from tests.support.checkout import project_in


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode, member.uid, member.uname = kind, link, mode, 1000, "me"
    return member


def tarball(path: Path, *entries: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        for each in entries:
            data = each.name.encode() if each.isreg() else b""
            each.size = len(data)
            tar.addfile(each, io.BytesIO(data))
    return path


def listed(tar: Path) -> list[tuple[str, bytes, int, str, str]]:
    with tarfile.open(tar) as opened:
        return [(each.name, each.type, each.mode, each.uname, each.linkname) for each in opened]


def test_tarball_belongs_to_root_below_the_target_whatever_its_modes_and_owners(tmp_path: Path) -> None:
    given = tarball(
        tmp_path / "a.tar.xz",
        entry("./", tarfile.DIRTYPE, mode=0o700),
        entry("./app", tarfile.DIRTYPE, mode=0o2770),
        entry("./app/run", mode=0o700),
        entry("./app/data", mode=0o600),
        entry("./app/link", tarfile.SYMTYPE, "../app/run"),
        entry("./app/same", tarfile.LNKTYPE, "app/run"),
    )
    repack(given, "/opt/shop", tmp_path / "out.tar", name="a")
    assert listed(tmp_path / "out.tar") == [
        ("opt/shop/app", tarfile.DIRTYPE, 0o755, "", ""),
        ("opt/shop/app/run", tarfile.REGTYPE, 0o755, "", ""),
        ("opt/shop/app/data", tarfile.REGTYPE, 0o644, "", ""),
        ("opt/shop/app/link", tarfile.SYMTYPE, 0o644, "", "../app/run"),
        ("opt/shop/app/same", tarfile.LNKTYPE, 0o644, "", "opt/shop/app/run"),
    ]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (entry("../etc/passwd"), "../etc/passwd leads out of the tarball"),
        (entry("a/../../b"), "a/../../b leads out"),
        (entry("/etc/passwd"), "/etc/passwd leads out of the tarball"),
        (entry("a/link", tarfile.SYMTYPE, "/etc"), "the symbolic link a/link leads out of it, to /etc"),
        (entry("a/link", tarfile.SYMTYPE, "../../etc"), "the symbolic link a/link leads out of it"),
        (entry("a/link", tarfile.SYMTYPE, "b/../../../etc"), "the symbolic link a/link leads out of it"),
        (entry("link", tarfile.SYMTYPE, "a/.."), "the symbolic link link leads out of it"),
        (entry("same", tarfile.LNKTYPE, "../etc/shadow"), "the hard link same leads out of it, to ../etc/shadow"),
        (entry("same", tarfile.LNKTYPE, "/etc/shadow"), "the hard link same leads out of it, to /etc/shadow"),
        (entry("null", tarfile.CHRTYPE), "null is a device or a pipe"),
        (entry("disk", tarfile.BLKTYPE), "disk is a device or a pipe"),
        (entry("pipe", tarfile.FIFOTYPE), "pipe is a device or a pipe"),
        (entry("su", mode=0o4755), "su has a setuid or setgid bit"),
        (entry("su", mode=0o2755), "su has a setuid or setgid bit"),
    ],
)
def test_an_entry_that_no_image_takes_is_named(tmp_path: Path, bad: tarfile.TarInfo, message: str) -> None:
    given = tarball(tmp_path / "a.tar", entry("good"), bad)
    with pytest.raises(ConfigError) as caught:
        repack(given, "/opt", tmp_path / "out.tar", name="application a.tar")
    assert caught.value.message.startswith("application a.tar: ")
    assert message in caught.value.message
    assert "pack it anew without that" in caught.value.remedy


def test_hard_link_to_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """It is that link in another folder, from where it may lead out."""
    link, same = entry("a/b/link", tarfile.SYMTYPE, "../../c"), entry("link", tarfile.LNKTYPE, "a/b/link")
    with pytest.raises(ConfigError, match="link is a hard link to a symbolic link"):
        repack(tarball(tmp_path / "a.tar", link, same), "/opt", tmp_path / "out.tar", name="a")


def test_file_behind_a_link_is_refused_whichever_comes_first(tmp_path: Path) -> None:
    link, file = entry("a", tarfile.SYMTYPE, "b"), entry("a/file")
    for order in ((link, file), (file, link)):
        with pytest.raises(ConfigError, match="a/file lies behind a symbolic link"):
            repack(tarball(tmp_path / "a.tar", *order), "/opt", tmp_path / "out.tar", name="a")


@pytest.mark.parametrize("keep", [0, 10, 100])
def test_damaged_tarball_is_refused(tmp_path: Path, keep: int) -> None:
    given = tarball(tmp_path / "a.tar.xz", entry("good"))
    given.write_bytes(given.read_bytes()[:keep])
    with pytest.raises(ConfigError, match="a: not a tarball, or damaged"):
        repack(given, "/opt", tmp_path / "out.tar", name="a")


def test_empty_tarball_and_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a: holds nothing"):
        repack(tarball(tmp_path / "a.tar"), "/opt", tmp_path / "out.tar", name="a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty: holds nothing"):
        folder_sha256(tmp_path / "empty")


def folder(path: Path) -> Path:
    (path / "empty").mkdir(parents=True)
    (path / "run").write_text("#!")
    (path / "run").chmod(0o700)
    (path / "link").symlink_to("run")
    (path / "__pycache__").mkdir()
    (path / "__pycache__/a.pyc").write_bytes(path.name.encode())
    return path


def test_folder_is_packed_with_links_and_empty_folders_but_no_byte_code(tmp_path: Path) -> None:
    with (tmp_path / "out.tar").open("wb") as out:
        pack(folder(tmp_path / "a"), "/opt/shop", out)
    assert listed(tmp_path / "out.tar") == [
        ("opt/shop/empty", tarfile.DIRTYPE, 0o755, "", ""),
        ("opt/shop/link", tarfile.SYMTYPE, 0o755, "", "run"),
        ("opt/shop/run", tarfile.REGTYPE, 0o755, "", ""),
    ]


def test_folder_with_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (folder(tmp_path / "a") / "out").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="a: the symbolic link out leads out of it, to /etc/passwd"):
        folder_sha256(tmp_path / "a")


def load(root: Path) -> ImageDefinition:
    (root / "images/shop").mkdir(parents=True, exist_ok=True)
    text = "description: a\nsuite: trixie\napplication: {source: ../../app, target: /opt/shop}\n"
    (root / "images/shop/image.yaml").write_text(text)
    return load_images(project_in(root))["shop"]


def test_digest_covers_the_content_of_a_folder_and_not_its_place_or_time(tmp_path: Path) -> None:
    one, same = ((folder(tmp_path / name / "app"), load(tmp_path / name))[1] for name in ("a", "b"))
    assert digest_of(one, "") == digest_of(same, "")
    for change in ("chmod", "write", "link"):
        before = digest_of(load(tmp_path / "b"), "")
        _change(tmp_path / "b/app", change)
        assert digest_of(load(tmp_path / "b"), "") != before, change


def _change(app: Path, what: str) -> None:
    if what == "chmod":
        (app / "run").chmod(0o644)
    elif what == "write":
        (app / "run").write_text("changed")
    else:
        (app / "link").unlink()
        (app / "link").symlink_to("empty")
