"""Writes the tree of an OCI image as one tar file, to be unpacked below a folder that becomes its root."""

from __future__ import annotations

import copy
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from samovar.core.errors import ConfigError
from samovar.images.oci.image import Descriptor, OciImage
from samovar.images.oci.layers import Tree, folder_entry
from samovar.images.tarball import UNREADABLE

KEPT = ("etc/passwd", "etc/group")
"""The files whose content is known afterwards: they name the users of the image."""
LARGEST = 1 << 20
"""Bytes of such a file that are read."""
PERMISSIONS = 0o1777
"""Setuid and setgid bits are void where NoNewPrivileges= is set, and of no use on the machine; they are left out."""
MOUNT_POINTS = ("dev", "proc", "sys", "run", "tmp", "var/tmp")
NO_END = "unexpected end of data"
"""What tarfile says of a tarball that ends within an entry, or lacks the zeros after it, as of `umoci insert`."""
BOUND = ("etc/resolv.conf", "etc/hosts")
"""The files that are the machine's own: an empty file is what they are bound to."""


def read_tree(image: OciImage) -> Tree:
    """Return what the layers of an image make. Raises ConfigError where one is damaged or unknown."""
    tree = Tree()
    for number, layer in enumerate(image.layers):
        with _opened(image, layer) as tar:
            tree.apply(number, _entries(tar, tree), image.name)
    return tree


def write_tree(image: OciImage, tree: Tree, out: Path, *, root: str, folders: Iterable[str]) -> None:
    """Write the image's tree to `out` below the path `root`: folders, files in the order of the layers, then links.

    The mount points of a service are added, and `folders`, which it needs too. Devices are left out: the service gets
    the machine's.
    """
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in _with_folders(tree, (*MOUNT_POINTS, *folders)):
            node = tree.nodes.get(path)
            tar.addfile(_placed(node.entry if node else folder_entry(), root, path))
        for number, layer in enumerate(image.layers):
            with _opened(image, layer) as given:
                _write_files(given, number, tree, tar, root)
        for path, node in sorted(tree.nodes.items()):
            if node.entry.issym() and path not in BOUND:
                tar.addfile(_placed(node.entry, root, path))
        for path in BOUND:
            tar.addfile(_placed(tarfile.TarInfo(), root, tree.canonical(path)))


def _with_folders(tree: Tree, more: Iterable[str]) -> list[str]:
    """Return the folders of the tree, the folders of `more`, and the root, parents first."""
    needed = {tree.resolve(path) for path in more}
    missing = {str(each) for path in needed for each in (PurePosixPath(path), *PurePosixPath(path).parents)}
    there = {path for path, node in tree.nodes.items() if node.entry.isdir()}
    return sorted({"" if path == "." else path for path in missing} | there)


def _write_files(given: tarfile.TarFile, layer: int, tree: Tree, tar: tarfile.TarFile, root: str) -> None:
    """Write the files that the tree has of a layer; a second name of one is a hard link to the first."""
    names = _names(tree, layer)
    for position, entry in enumerate(_members(given)):
        first, *others = names.get(position, [""])
        if not first:
            continue
        tar.addfile(_placed(entry, root, first), given.extractfile(entry))
        for other in others:
            link = _placed(entry, root, other)
            link.type, link.size, link.linkname = tarfile.LNKTYPE, 0, _below(root, first)
            tar.addfile(link)


def _names(tree: Tree, layer: int) -> dict[int, list[str]]:
    """Return the paths of the files of a layer, by their positions in it."""
    names: dict[int, list[str]] = {}
    for path, node in tree.nodes.items():
        if node.layer == layer and node.entry.isreg() and path not in BOUND:
            names.setdefault(node.position, []).append(path)
    return names


def _placed(entry: tarfile.TarInfo, root: str, path: str) -> tarfile.TarInfo:
    placed = copy.copy(entry)
    placed.name, placed.mode = _below(root, path), entry.mode & PERMISSIONS
    placed.type, placed.size = (tarfile.REGTYPE, entry.size) if entry.isreg() else (entry.type, 0)
    placed.uname = placed.gname = ""
    placed.pax_headers = {}
    return placed


def _below(root: str, path: str) -> str:
    return str(PurePosixPath(root.lstrip("/")) / path)


def _entries(tar: tarfile.TarFile, tree: Tree) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for entry in _members(tar):
        file = tar.extractfile(entry) if entry.isreg() and tree.canonical(entry.name) in KEPT else None
        yield entry, file.read(LARGEST) if file else b""


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the entries. The zeros after the last one may be missing, as container engines allow; its data may not."""
    try:
        while entry := tar.next():
            yield entry
    except tarfile.ReadError as error:
        if str(error) != NO_END:
            raise


@contextmanager
def _opened(image: OciImage, layer: Descriptor) -> Iterator[tarfile.TarFile]:
    if "zstd" in layer.media_type:
        raise ConfigError(
            f"{image.name}: a layer is compressed by zstd, which is not read here",
            remedy="skopeo copy --dest-compress-format gzip --dest-force-compress-format, or build it with gzip",
        )
    with image.read_layer(layer) as blob:
        try:
            with tarfile.open(fileobj=blob) as tar:
                yield tar
        except UNREADABLE as error:
            message = f"{image.name}: its layer {layer.digest} is no tarball: {error}"
            raise ConfigError(message, remedy="build it anew") from error
