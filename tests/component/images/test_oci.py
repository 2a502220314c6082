"""Images made by umoci and served by Debian's registry: flattened as umoci unpacks them, and bad ones refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from samovar.core.errors import ConfigError
from samovar.images.artifact import TAR, put_application
from samovar.images.definition import Application, ImageDefinition
from samovar.images.oci.flatten import read_tree, write_tree
from samovar.images.oci.image import Descriptor, OciImage, Process
from samovar.images.store import KEPT
from samovar.project.application import Format, Run
from tests.support.oci import TAG, Layout, new_layout, push, registry, run, umoci

ADDED = {"dev", "proc", "sys", "run", "tmp", "var", "var/tmp", "etc/resolv.conf", "etc/hosts"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(path: Path, text: str, mode: int = 0o644, owner: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, owner, owner)


def first(root: Path) -> None:
    write(root / "bin/app", "#!/bin/sh\n", 0o755)
    write(root / "etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/srv/app:/bin/sh\n")
    write(root / "etc/group", "root:x:0:\napp:x:1001:\nlogs:x:1002:app\n")
    write(root / "srv/kept", "1", owner=1000)
    write(root / "srv/removed", "1")
    write(root / "srv/folder/inner", "1")
    write(root / "srv/emptied/old", "1")
    write(root / "usr/lib/library", "1")
    (root / "lib").symlink_to("usr/lib")
    (root / "absolute").symlink_to("/srv")
    os.link(root / "srv/kept", root / "srv/same")
    write(root / "srv/alone", "of the first layer")
    os.link(root / "srv/alone", root / "srv/alone-same")
    (root / "sticky").mkdir(mode=0o755)
    (root / "sticky").chmod(0o1777)


def second(root: Path) -> None:
    (root / "srv/removed").unlink()
    shutil.rmtree(root / "srv/folder")
    write(root / "srv/folder", "a file now")
    shutil.rmtree(root / "srv/emptied")
    write(root / "srv/emptied/new", "2")
    (root / "srv/alone").unlink()
    write(root / "srv/kept-too", "2")
    write(root / "usr/lib/more", "2")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    image_layout = new_layout(tmp_path / "layout")
    image_layout.add_layer(first)
    image_layout.add_layer(second)
    image_layout.configure("--config.entrypoint", "app", "--config.cmd", "serve", "--config.env", "PRICE=5$")
    image_layout.configure("--config.user", "app", "--config.workingdir", "/srv/work", "--config.stopsignal", "SIGQUIT")
    return image_layout


def image(path: Path | None, digest: str, url: str = "", run_: Run | None = None) -> ImageDefinition:
    application = Application("/opt/shop", digest, Format.OCI, run_ or Run(), url=url, path=path)
    return ImageDefinition("shop", "a shop", "samovar-base", None, (), (), (), (), (), (), (), application=application)


def put(tmp_path: Path, definition: ImageDefinition) -> tuple[str, Path]:
    """The unit, and the tree as the bake unpacks it."""
    spec = tmp_path / "spec"
    shutil.rmtree(spec, ignore_errors=True)
    (spec / "tree").mkdir(parents=True)
    unit, _drop_in = put_application(definition, spec).files
    run(
        "tar",
        "--extract",
        "--numeric-owner",
        "--preserve-permissions",
        f"--file={spec / TAR}",
        f"--directory={spec}/tree",
    )
    return unit.data.decode(), spec / "tree/opt/shop"


def listed(root: Path) -> dict[str, tuple[object, ...]]:
    """Each path with its mode, owner, number of names, and content."""
    return {str(path.relative_to(root)): facts(path) for path in root.rglob("*")}


def facts(path: Path) -> tuple[object, ...]:
    stat = path.lstat()
    content = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
    return oct(stat.st_mode), stat.st_uid, stat.st_gid, 1 if path.is_dir() else stat.st_nlink, content


def test_tree_is_what_umoci_unpacks(layout: Layout, tmp_path: Path) -> None:
    _, tree = put(tmp_path, image(layout.folder, layout.digest))
    expected = listed(layout.unpacked(tmp_path / "bundle"))
    actual = listed(tree)
    assert actual.keys() - expected.keys() == {*ADDED, "srv/work"}
    assert {path: actual[path] for path in expected} == expected


def test_unit_has_the_configuration_of_the_image(layout: Layout, tmp_path: Path) -> None:
    unit, _ = put(tmp_path, image(layout.folder, layout.digest))
    lines = unit.splitlines()
    expected = [
        "User=1000",
        "Group=1001",
        "SupplementaryGroups=1002",
        "WorkingDirectory=/srv/work",
        "KillSignal=SIGQUIT",
    ]
    expected += ["ExecStart=/bin/app serve", 'Environment="HOME=/srv/app"', 'Environment="PRICE=5$"']
    expected += ["RootDirectory=/opt/shop", "MountAPIVFS=yes"]
    assert [line for line in expected if line not in lines] == []


def test_run_goes_before_the_image(layout: Layout, tmp_path: Path) -> None:
    stated = Run(command=("/bin/app", "work"), environment={"PRICE": "6"}, user="root", directory="/srv")
    unit, _ = put(tmp_path, image(layout.folder, layout.digest, run_=stated))
    lines = unit.splitlines()
    expected = ["User=0", "Group=0", "WorkingDirectory=/srv", "ExecStart=/bin/app work", 'Environment="PRICE=6"']
    assert [line for line in expected if line not in lines] == []
    assert "SYS_ADMIN" not in unit


def test_archive_layout_and_registry_are_one_image(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_layout = put(tmp_path, image(layout.folder, layout.digest))
    expected = (from_layout[0], listed(from_layout[1]))
    unit, tree = put(tmp_path, image(layout.archive(tmp_path / "shop.tar"), layout.digest))
    assert (unit, listed(tree)) == expected
    with registry(tmp_path) as (address, certificate):
        push(layout, f"{address}/shop:1", certificate)
        reference = f"docker://{address}/shop@sha256:{layout.digest}"
        with pytest.raises(ConfigError, match=r"cannot be fetched: .*certificate"):
            put(tmp_path, image(None, layout.digest, reference))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        unit, tree = put(tmp_path, image(None, layout.digest, reference))
        assert (unit, listed(tree)) == expected
        with pytest.raises(ConfigError, match=r"cannot be fetched: .*manifest unknown"):
            put(tmp_path, image(None, "0" * 64, f"docker://{address}/shop@sha256:{'0' * 64}"))
    assert put(tmp_path, image(None, layout.digest, reference))[0] == unit  # from the cache


def test_the_cache_keeps_those_images_of_a_repository_that_were_used_last(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry(tmp_path) as (address, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

        def use(repository: str, digest: str) -> None:
            put(tmp_path, image(None, digest, f"docker://{address}/{repository}@sha256:{digest}"))

        digests = []
        for number in range(KEPT + 1):
            layout.configure("--config.env", f"NUMBER={number}")
            push(layout, f"{address}/shop/api:1", certificate)
            digests.append(layout.digest)
        push(layout, f"{address}/shop:1", certificate)
        use("shop", layout.digest)
        for digest in (*digests[:KEPT], digests[0], digests[KEPT]):
            use("shop/api", digest)
        cached = {path.name for path in (tmp_path / "cache/samovar/oci" / address / "shop/api").glob("[0-9a-f]*")}
        assert cached == {*digests} - {digests[1]}
        assert (tmp_path / "cache/samovar/oci" / address / "shop" / layout.digest).is_dir()


def index_of(layout: Layout, other: Layout) -> str:
    """Add an index of both images to the layout; returns its digest."""
    platforms = {layout: "amd64", other: "arm64"}
    entries = []
    for each, architecture in platforms.items():
        blob = each.folder / "blobs/sha256" / each.digest
        platform = {"os": "linux", "architecture": architecture}
        media = "application/vnd.oci.image.manifest.v1+json"
        size = len(blob.read_bytes())
        entries.append({"mediaType": media, "digest": f"sha256:{each.digest}", "size": size, "platform": platform})
    media = "application/vnd.oci.image.index.v1+json"
    data = json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": entries[::-1]})
    digest = subprocess.run(["sha256sum"], input=data, text=True, capture_output=True, check=True).stdout.split()[0]
    (layout.folder / "blobs/sha256" / digest).write_text(data)
    return digest


def test_of_an_index_the_image_for_the_machines_is_taken(layout: Layout, tmp_path: Path) -> None:
    other = new_layout(tmp_path / "other", "arm64")
    unit, _ = put(tmp_path, image(layout.folder, layout.digest))
    assert put(tmp_path, image(layout.folder, index_of(layout, other)))[0] == unit


def test_image_of_another_architecture_is_refused(tmp_path: Path) -> None:
    other = new_layout(tmp_path / "other", "arm64")
    with pytest.raises(ConfigError, match="is for linux/arm64, and machines are linux/amd64") as caught:
        put(tmp_path, image(other.folder, other.digest))
    assert "--platform linux/amd64" in caught.value.remedy


def test_image_without_a_command_is_refused_unless_run_has_one(tmp_path: Path) -> None:
    bare = new_layout(tmp_path / "bare")
    bare.add_layer(first)
    with pytest.raises(ConfigError, match="has neither an entrypoint nor a cmd") as caught:
        put(tmp_path, image(bare.folder, bare.digest))
    assert "application.run.command" in caught.value.remedy
    assert "ExecStart=/bin/app\n" in put(tmp_path, image(bare.folder, bare.digest, run_=Run(command=("app",))))[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--config.entrypoint", "/bin/none"), "/bin/none, which it runs, is not in it"),
        (("--config.entrypoint", "app", "--config.user", "nobody"), "its user nobody is not in its /etc/passwd"),
        (("--config.entrypoint", "app", "--config.user", "app:none"), "its group none is not in its /etc/group"),
    ],
)
def test_image_that_cannot_run_is_refused(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    image_layout = new_layout(tmp_path / "made")
    image_layout.add_layer(first)
    image_layout.configure(*words)
    with pytest.raises(ConfigError, match=message):
        put(tmp_path, image(image_layout.folder, image_layout.digest))


def test_layer_may_lack_the_zeros_at_its_end(layout: Layout, tmp_path: Path) -> None:
    write(tmp_path / "page", "x" * 100)
    umoci("insert", "--image", f"{layout.folder}:{TAG}", str(tmp_path / "page"), "/srv/page")
    _, tree = put(tmp_path, image(layout.folder, layout.digest))
    assert (tree / "srv/page").read_text() == "x" * 100


def test_layer_may_not_lack_data_of_its_last_file(tmp_path: Path) -> None:
    write(tmp_path / "page", "x" * 100)
    with tarfile.open(tmp_path / "layer", "w") as tar:
        tar.add(tmp_path / "page", "first")
        tar.add(tmp_path / "page", "second")
    layer = (tmp_path / "layer").read_bytes()[: 3 * 512 + 99]
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    oci = OciImage("shop", Process(), (Descriptor(digest=digest),), lambda _: io.BytesIO(layer))
    with pytest.raises(ConfigError, match="no tarball: unexpected end of data"):
        write_tree(oci, read_tree(oci), tmp_path / "out", root="/opt/shop", folders=())


@pytest.mark.parametrize("which", [0, 1, 2])
def test_damaged_blob_is_named_by_its_digest(layout: Layout, tmp_path: Path, which: int) -> None:
    blob = referred(layout)[which]
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    with pytest.raises(ConfigError, match=f"corrupt: its blob sha256:{blob.name} is sha256:"):
        put(tmp_path, image(layout.folder, layout.digest))
    blob.unlink()
    with pytest.raises(ConfigError, match=f"has no blob sha256:{blob.name}"):
        put(tmp_path, image(layout.folder, layout.digest))


def referred(layout: Layout) -> list[Path]:
    """The manifest, the configuration, and a layer."""
    folder = layout.folder / "blobs/sha256"
    manifest = json.loads((folder / layout.digest).read_text())
    parts = [f"sha256:{layout.digest}", manifest["config"]["digest"], manifest["layers"][0]["digest"]]
    return [folder / part.removeprefix("sha256:") for part in parts]


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(ConfigError, match="neither an OCI archive nor a folder with a layout"):
        put(tmp_path, image(tmp_path / "text", "0" * 64))
