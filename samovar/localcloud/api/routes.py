"""Routes a path of the REST form to its method: the templates of `google.api.http`, compiled into one tree.

A template is literals and `{field}` or `{field=...}` with `*` and `**`, and may end in `:verb`, which stands in the
tree as a segment of its own. A literal goes before `*`, and `*` before `**`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import MethodDescriptor

TOKEN = re.compile(r"\{([\w.]+)(?:=([^}]+))?\}|([^/{}:]+)|(:[^/{}]+$)")


@dataclass(frozen=True)
class Capture:
    """The segments `start` to `end` (None: to the last one) of a path are the value of `field`."""

    field: str
    start: int
    end: int | None


@dataclass(frozen=True)
class Binding:
    """One way to call a method. `body` names a field, or is `*` for the whole request, or empty for no body."""

    method: MethodDescriptor
    verb: str
    segments: tuple[str, ...]
    captures: tuple[Capture, ...]
    body: str


@dataclass(frozen=True)
class Match:
    """A binding, and what its path gives to the fields of the request."""

    binding: Binding
    values: Mapping[str, str]


def bindings_of(method: MethodDescriptor) -> Iterator[Binding]:
    """Yield every way to call a method that its options state."""
    options: Any = method.GetOptions()  # the stubs give the extension no type that its options take
    rule: HttpRule = options.Extensions[annotations_pb2.http]
    for each in (rule, *rule.additional_bindings):
        if pattern := each.WhichOneof("pattern"):
            yield _binding(method, each, pattern)


def _binding(method: MethodDescriptor, rule: HttpRule, pattern: str) -> Binding:
    verb, path = (rule.custom.kind, rule.custom.path) if pattern == "custom" else (pattern, getattr(rule, pattern))
    segments: list[str] = []
    captures: list[Capture] = []
    for name, inner, literal, suffix in TOKEN.findall(path):
        start = len(segments)
        segments.extend((inner or "*").split("/") if name else [literal or suffix])
        if name:
            captures.append(Capture(name, start, None if segments[-1] == "**" else len(segments)))
    return Binding(method, verb.upper(), tuple(segments), tuple(captures), rule.body)


@dataclass
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    bindings: dict[str, Binding] = field(default_factory=dict)


class Table:
    """The table of all methods. A look-up takes one step a segment, however many methods there are."""

    def __init__(self, methods: Iterable[MethodDescriptor]) -> None:
        self._root = _Node()
        for method in methods:
            for binding in bindings_of(method):
                node = self._root
                for segment in binding.segments:
                    node = node.children.setdefault(segment, _Node())
                node.bindings.setdefault(binding.verb, binding)

    def find(self, verb: str, raw_path: str) -> Match | None:
        """Return the method for a path, which is still percent-encoded and has no query."""
        segments = _split(raw_path)
        binding = next(_walk(self._root, segments, verb), None)
        if binding is None:
            return None
        last = len(segments) - segments[-1].startswith(":")
        values = {
            capture.field: "/".join(map(unquote, segments[capture.start : capture.end or last]))
            for capture in binding.captures
        }
        return Match(binding, values)


def _split(raw_path: str) -> list[str]:
    *front, last = raw_path.removeprefix("/").split("/")
    name, colon, suffix = last.partition(":")
    return [*front, name, *([f":{suffix}"] if colon else [])]


def _walk(node: _Node, segments: Sequence[str], verb: str) -> Iterator[Binding]:
    if not segments:
        if verb in node.bindings:
            yield node.bindings[verb]
        return
    head, rest = segments[0], segments[1:]
    if literal := node.children.get(head):
        yield from _walk(literal, rest, verb)
    if head.startswith(":") or not head:
        return
    if one := node.children.get("*"):
        yield from _walk(one, rest, verb)
    if many := node.children.get("**"):
        suffix = [segment for segment in segments[-1:] if segment.startswith(":")]
        yield from _walk(many, suffix, verb)
