"""Adds a group or secrets to the text of an environment's file, whose other lines stay as they are."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import yaml

from samovar.core.errors import ConfigError

INDENTATION = 2
Entry = tuple[yaml.ScalarNode, yaml.Node]
"""A key of the file, and its value."""


def with_group(text: str, lines: str) -> str:
    """Return the text with the lines of a group at the end of `groups`. Raises ConfigError where that is in braces."""
    entry = _entries(text).get("groups")
    if entry is None or _in_braces(entry[1]):
        raise ConfigError("groups: stands in braces, so nothing can be added", remedy="write one group a line")
    return _inserted(text, _end(text, entry), textwrap.indent(lines, " " * _column(entry)))


def with_secrets(text: str, secrets: Mapping[str, str]) -> str:
    """Return the text, with the missing ones of `secrets` (kinds by names) added."""
    entry = _entries(text).get("secrets")
    there = {key.value for key, _ in entry[1].value} if entry and isinstance(entry[1], yaml.MappingNode) else set()
    lines = "".join(f"{name}: {kind}\n" for name, kind in secrets.items() if name not in there)
    if not lines:
        return text
    if entry is None:
        return _inserted(text, _start(text, "groups"), "secrets:\n" + textwrap.indent(lines, " " * INDENTATION))
    if isinstance(entry[1], yaml.ScalarNode):
        return _inserted(text, entry[0].start_mark.line + 1, textwrap.indent(lines, " " * INDENTATION))
    if _in_braces(entry[1]):
        end = entry[1].end_mark.index - 1
        items = ", ".join(lines.splitlines())
        return text[:end] + (f", {items}" if there else items) + text[end:]
    return _inserted(text, _end(text, entry), textwrap.indent(lines, " " * _column(entry)))


def _entries(text: str) -> Mapping[str, Entry]:
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs: list[Entry] = document.value if isinstance(document, yaml.MappingNode) else []
    return {key.value: (key, value) for key, value in pairs}


def _in_braces(value: yaml.Node) -> bool:
    return not isinstance(value, yaml.MappingNode) or bool(value.flow_style) or not value.value


def _column(entry: Entry) -> int:
    """Return the column at which the keys of a mapping stand."""
    return int(entry[1].value[0][0].start_mark.column)


def _start(text: str, name: str) -> int:
    """Return the line at which a key begins, with the comments right above it."""
    lines, line = text.splitlines(), int(_entries(text)[name][0].start_mark.line)
    while line and lines[line - 1].startswith("#"):
        line -= 1
    return line


def _end(text: str, entry: Entry) -> int:
    """Return the line after a value, and after the comments that are indented as it is."""
    lines, last = text.splitlines(), _last(entry[1])
    line = last.end_mark.line + bool(last.end_mark.column)
    while line < len(lines) and lines[line].lstrip().startswith("#") and not lines[line].startswith("#"):
        line += 1
    return line


def _last(node: yaml.Node) -> yaml.Node:
    """Return the last value within a value; a block ends only where the next key begins."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node


def _inserted(text: str, line: int, lines: str) -> str:
    present = text.splitlines(keepends=True)
    before = "".join(present[:line])
    return before + ("" if before.endswith("\n") or not before else "\n") + lines + "".join(present[line:])
