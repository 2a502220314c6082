"""Flattens the layers of an OCI image into one tree, as overlayfs would show it.

https://github.com/opencontainers/image-spec/blob/main/layer.md. Nothing is unpacked here, so no right is needed and no
path or link of a layer means anything on this machine.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from samovar.core.errors import ConfigError

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
MOST_LINKS = 40
"""As many symbolic links does Linux follow on the way to a file: path_resolution(7)."""
NOWHERE = -1
"""The position of a folder that no layer has."""


@dataclass(frozen=True)
class Node:
    """A file, folder or link: the entry that made it, and which layer has it where; `data` of few alone."""

    layer: int
    position: int
    entry: tarfile.TarInfo
    data: bytes = b""


@dataclass
class Tree:
    """The file tree of layers, by paths without a leading slash. Hard links to a file are one node."""

    nodes: dict[str, Node] = field(default_factory=dict)

    def apply(self, layer: int, entries: Iterator[tuple[tarfile.TarInfo, bytes]], name: str) -> None:
        """Lay the entries of a layer over it, each with its content if that is kept. Raises ConfigError."""
        for position, (entry, data) in enumerate(entries):
            if ".." in PurePosixPath(entry.name).parts:
                raise ConfigError(f"{name}: {entry.name} leads out of the image", remedy="build the image anew")
            path = self.canonical(entry.name)
            folder, _, base = path.rpartition("/")
            if base == OPAQUE:
                self._remove_below(folder, layer)
            elif base.startswith(WHITEOUT):
                self._remove(f"{folder}/{base.removeprefix(WHITEOUT)}".lstrip("/"), layer)
            elif path:
                self._add(path, Node(layer, position, entry, data), name)

    def canonical(self, path: str) -> str:
        """Return the path with the links on the way to it followed, none of which leads out of the tree."""
        folder, base = str(PurePosixPath(path).parent), PurePosixPath(path).name
        parent = self.resolve(folder)
        return f"{parent}/{base}".lstrip("/")

    def resolve(self, path: str) -> str:
        """Return the path with every link followed, the last one too; a chain that never ends is left as it is."""
        pending, done, links = [*reversed(_parts(path))], list[str](), 0
        while pending:
            part = pending.pop()
            if part == "..":
                done = done[:-1]
                continue
            node = self.nodes.get("/".join((*done, part)))
            if node is None or not node.entry.issym() or links == MOST_LINKS:
                done.append(part)
                continue
            links += 1
            done = [] if node.entry.linkname.startswith("/") else done
            pending += reversed(_parts(node.entry.linkname))
        return "/".join(done)

    def find(self, path: str) -> Node | None:
        """Return what a path leads to."""
        return self.nodes.get(self.resolve(path))

    def _add(self, path: str, node: Node, name: str) -> None:
        if node.entry.islnk():
            target = self.nodes.get(self.canonical(node.entry.linkname))
            if target is None:
                raise ConfigError(f"{name}: {path} is a hard link to nothing", remedy="build the image anew")
            node = target
        self._make_parents(path, node.layer)
        there = self.nodes.get(path)
        if there and there.entry.isdir() and not node.entry.isdir():
            self._remove_below(path, None)
        self.nodes[path] = node

    def _make_parents(self, path: str, layer: int) -> None:
        """Make the folders above it that no entry has made; one takes the place of a file that was there."""
        for parent in (str(each) for each in PurePosixPath(path).parents[:-1]):
            there = self.nodes.get(parent)
            if there is None or not there.entry.isdir():
                self.nodes[parent] = Node(layer, NOWHERE, folder_entry())

    def _remove(self, path: str, below: int) -> None:
        if path in self.nodes and self.nodes[path].layer < below:
            del self.nodes[path]
        self._remove_below(path, below)

    def _remove_below(self, folder: str, below: int | None) -> None:
        """Remove what a folder holds of the layers before `below`, or of all."""
        prefix = f"{folder}/" if folder else ""
        hidden = [
            path
            for path, node in self.nodes.items()
            if path.startswith(prefix) and (below is None or node.layer < below)
        ]
        for path in hidden:
            del self.nodes[path]


def folder_entry() -> tarfile.TarInfo:
    """Return the entry of a folder that no layer has, with the mode that any program would give it."""
    entry = tarfile.TarInfo()
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    return entry


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]
