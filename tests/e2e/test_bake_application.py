"""Applications of every form, baked into images: what is in the image, what systemd says of it, and what is refused."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from samovar.core.errors import ProcessFailed
from samovar.core.output import PlainReporter
from samovar.core.paths import cache_dir
from samovar.images.builders.local import LISTS_STAMP, bake_local
from samovar.images.store import BakedImage
from tests.support.apt_repository import make_deb, serve_repository
from tests.support.checkout import PROJECT, empty_project, project_in
from tests.support.images import inside
from tests.support.wait import wait_until

SCRIPT = b"#!/bin/sh\nexec echo served by $(id -un)\n"


@pytest.fixture(scope="module")
def base() -> BakedImage:
    (image,) = bake_local(PROJECT, ["samovar-base"], reporter=PlainReporter())
    return image


@pytest.fixture
def project(base: BakedImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without images, and a cache that has the base image alone."""
    apt = cache_dir() / "apt"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = cache_dir() / "images"
    store.mkdir(parents=True)
    for file in (base.raw, base.raw.with_suffix(".json")):
        (store / file.name).symlink_to(file)
    (cache_dir() / "apt").symlink_to(apt)
    return empty_project(tmp_path / "project")


def bake(project: Path, text: str, name: str = "shop", parent: str = "samovar/base") -> BakedImage:
    folder = project / "images" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "image.yaml").write_text(f"description: a test\nparent: {parent}\n{text}")
    (image,) = bake_local(project_in(project), [name], reporter=PlainReporter())
    return image


def log_of(image: str) -> str:
    """Return what bakes of the image have logged so far."""
    return "".join(log.read_text() for log in (cache_dir() / "logs").glob(f"bake-{image}-*.log"))


def tarball(path: Path, files: dict[str, bytes]) -> str:
    """Write a tarball with the modes and owners of a careless builder; return its sha256."""
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid, entry.uname = (
                len(data),
                0o700 if data.startswith(b"#!") else 0o600,
                1000,
                "me",
            )
            tar.addfile(entry, io.BytesIO(data))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_tarball_by_url_becomes_a_hardened_service_of_its_own_user(project: Path) -> None:
    sha256 = tarball(project / "shop.tar.gz", {"shop/bin/serve": SCRIPT, "shop/data": b"rows"})
    text = f"""
application:
  target: /opt/shop
  url: "file://{project}/shop.tar.gz"
  sha256: {sha256}
  run: {{command: [/opt/shop/shop/bin/serve, "100% $HOME"], environment: {{GREETING: 'a "b"'}}}}
"""
    image = bake(project, text)
    assert inside(image, "stat -c '%a %U %n' /opt/shop/shop/bin/serve /opt/shop/shop/data") == (
        "755 root /opt/shop/shop/bin/serve\n644 root /opt/shop/shop/data\n"
    )
    assert inside(image, "id -un shop; readlink /etc/systemd/system/multi-user.target.wants/shop.service") == (
        "shop\n/etc/systemd/system/shop.service\n"
    )


def test_folder_of_the_project_is_shipped_with_its_links(project: Path) -> None:
    (project / "app/bin").mkdir(parents=True)
    (project / "app/bin/serve").write_bytes(SCRIPT)
    (project / "app/bin/serve").chmod(0o750)
    (project / "app/current").symlink_to("bin/serve")
    text = "application: {source: ../../app, target: /opt/shop, run: {command: [/opt/shop/current], user: daemon}}\n"
    image = bake(project, text)
    assert inside(image, "/opt/shop/current") == "served by root\n"
    assert "User=daemon\n" in inside(image, "cat /etc/systemd/system/shop.service")


def test_command_that_is_not_in_the_image_fails_the_bake(project: Path) -> None:
    sha256 = tarball(project / "shop.tar.gz", {"serve": SCRIPT})
    origin = f"url: 'file://{project}/shop.tar.gz', sha256: {sha256}"
    with pytest.raises(ProcessFailed, match="/opt/shop/none is not executable: No such file"):
        bake(project, f"application: {{target: /opt/shop, {origin}, run: {{command: [/opt/shop/none]}}}}\n")


def test_deb_comes_with_what_it_depends_on(project: Path) -> None:
    make_deb(project / "shop.deb", "shop", {"usr/bin/shop": SCRIPT}, depends="tree")
    image = bake(project, "application: {source: ../../shop.deb, run: {command: [/usr/bin/shop]}}\n")
    assert {"shop", "tree"} <= image.packages.keys()
    assert inside(image, "shop; ls /tmp") == "served by root\n"


def test_deb_of_another_architecture_fails_the_bake(project: Path) -> None:
    make_deb(project / "shop.deb", "shop", {"usr/bin/shop": SCRIPT}, architecture="arm64")
    with pytest.raises(ProcessFailed, match=r"the \.deb of application is for arm64, the image for amd64"):
        bake(project, "application: {source: ../../shop.deb}\n")


def test_package_lists_are_not_replaced_while_another_bake_reads_them(project: Path) -> None:
    apt = cache_dir() / "apt"
    with (apt / "lists.lock").open("w") as reader, ThreadPoolExecutor() as pool:
        fcntl.flock(reader, fcntl.LOCK_SH)
        os.utime(apt / LISTS_STAMP, (0, 0))
        baking = pool.submit(bake, project, "packages: [tree]\n")
        try:
            wait_until("the bake is about to download", lambda: "::step download" in log_of("shop"))
            time.sleep(1)
            assert "::run" not in log_of("shop").rpartition("::step download")[2]
        finally:
            fcntl.flock(reader, fcntl.LOCK_UN)
        baking.result()
    assert (apt / LISTS_STAMP).stat().st_mtime > 0


def test_packages_come_from_a_repository_beside_debians_by_its_key(project: Path) -> None:
    with serve_repository(project / "repository", {"shop": {"usr/bin/shop": SCRIPT}}) as repository:
        (project / "images/shop").mkdir(parents=True)
        shutil.copy(repository.key, project / "images/shop/key.asc")
        entry = f"repositories: [{{url: '{repository.url}', suite: stable, key: key.asc}}]\n"
        shop = bake(project, f"{entry}packages: [shop, tree]\n")
        assert "shop" in shop.packages
        child = bake(project, "packages: [ssl-cert]\n", "plain")
        assert "shop" not in child.packages
        shutil.copy(repository.other_key, project / "images/shop/key.asc")
        with pytest.raises(ProcessFailed, match=r"is not signed|NO_PUBKEY|Missing key"):
            bake(project, f"{entry}packages: [shop]\n")


def server(version: str) -> dict[str, bytes]:
    """Return the files of a package that looks like PostgreSQL to what a bake checks."""
    programs, shared = f"usr/lib/postgresql/{version}/bin", f"usr/share/postgresql/{version}"
    asked = f"#!/bin/sh\necho /{shared}\n".encode()
    control = f"{shared}/extension/pg_trgm.control"
    return {f"{programs}/postgres": SCRIPT, f"{programs}/pg_config": asked, control: b""}


def test_another_version_of_postgresql_comes_from_a_repository_that_has_it(project: Path) -> None:
    packages = {f"postgresql-{version}": server(version) for version in ("15", "16")}
    (project / "images/rows").mkdir(parents=True)
    with serve_repository(project / "repository", packages) as repository:
        shutil.copy(repository.key, project / "images/rows/key.asc")
        entry = (
            f"repositories: [{{url: '{repository.url}', suite: stable, key: key.asc}}]\npackages: [postgresql-common]\n"
        )

        def bake_version(version: str) -> BakedImage:
            return bake(project, f'version: "{version}"\n{entry}', "rows", "samovar/postgres")

        rows = bake_version("16")
        assert {"postgresql-16", "zstd"} <= rows.packages.keys()
        assert rows.data_format == "postgresql-16"
        assert "postgresql-17" not in rows.packages
        assert inside(rows, "readlink /usr/lib/postgresql/current") == "16\n"
        with pytest.raises(ProcessFailed, match="PostgreSQL 15: one version from 16 on is expected"):
            bake_version("15")
        with pytest.raises(ProcessFailed, match="Unable to locate package postgresql-99") as caught:
            bake_version("99")
        assert "neither Debian's trixie nor a repository of the image has postgresql-99" in caught.value.remedy
