"""Metadata as a tree of folders and leaves: finding a place in it, and the forms in which a place is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any, TypeAlias


class OnDemand(Enum):
    """Leaves that are made when they are asked for; no recursive answer holds them."""

    GCE_TOKEN = auto()
    AWS_TOKEN = auto()


Node: TypeAlias = "str | int | OnDemand | Mapping[str, Node] | tuple[Node, ...]"


class UserKeys(dict[str, Node]):
    """A folder whose keys the operator chose: they are shown as they are in every form."""


class PublicKeys(dict[str, Node]):
    """Amazon's folder of public keys: alone among the folders it is listed as `0=name`, without a slash."""


def lookup(tree: Node, path: str) -> Node | None:
    """The node at `path`; slashes at its ends do not matter. None where nothing is."""
    node: Node | None = tree
    for part in filter(None, path.split("/")):
        node = dict(_children(node)).get(part) if is_folder(node) else None
    return node


def is_folder(node: Node | None) -> bool:
    """A folder by name or by number."""
    return isinstance(node, Mapping | tuple)


def names(folder: Node) -> list[str]:
    """What a folder holds, a slash after each folder in it."""
    if isinstance(folder, PublicKeys):
        return [f"{key}=default" for key in folder]
    return [f"{key}/" if is_folder(child) else key for key, child in sorted(_children(folder))]


def recursive_text(node: Node) -> str:
    """Every leaf below `node`, a line each: its path, a space, its value."""
    return "\n".join(f"{path} {value}" for path, value in _leaves(node, ""))


def recursive_json(node: Node) -> Any:
    """The tree below `node` for `json.dumps`: keys in camel case as Google writes them, lists for numbered folders."""
    if isinstance(node, tuple):
        return [recursive_json(child) for child in node]
    if isinstance(node, Mapping):
        spell = str if isinstance(node, UserKeys) else _camel_case
        return {
            spell(key): recursive_json(child) for key, child in sorted(node.items()) if not isinstance(child, OnDemand)
        }
    return node


def _children(node: Node | None) -> Iterator[tuple[str, Node]]:
    if isinstance(node, tuple):
        yield from ((str(index), child) for index, child in enumerate(node))
    elif isinstance(node, Mapping):
        yield from node.items()


def _leaves(node: Node, path: str) -> Iterator[tuple[str, str]]:
    for key, child in sorted(_children(node)):
        place = f"{path}/{key}" if path else key
        if is_folder(child):
            yield from _leaves(child, place)
        elif not isinstance(child, OnDemand):
            yield place, str(child)


def _camel_case(key: str) -> str:
    return re.sub(r"-(\w)", lambda match: match[1].upper(), key)
