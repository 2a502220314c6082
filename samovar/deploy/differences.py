"""The reasons of a plan in words: what differs between an existing resource and the desired one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields

from samovar.deploy.resources.instance_group import InstanceGroup
from samovar.deploy.resources.instance_template import Template
from samovar.deploy.resources.resource import Spec

METADATA = frozenset({"metadata", "metadata_refs"})
"""The fields of a template whose differences are named by the keys of the metadata."""


def describe_differences(before: Spec, after: Spec, names: Iterable[str]) -> str:
    """Return the fields that differ with both values; of a template each of its own fields."""
    return "; ".join(text for name in names for text in _field(before, after, name))


def _field(before: Spec, after: Spec, name: str) -> Iterator[str]:
    if name == "template" and isinstance(before, InstanceGroup) and isinstance(after, InstanceGroup):
        yield from _template(before.template, after.template)
    else:
        yield _difference(before, after, name)


def _template(before: Template, after: Template) -> Iterator[str]:
    for name in (item.name for item in fields(Template)):
        if name not in METADATA and getattr(before, name) != getattr(after, name):
            yield _difference(before, after, name)
    if changed := sorted({key for key, _ in set(before.metadata) ^ set(after.metadata)}):
        yield f"metadata: {', '.join(changed)}"
    yield "machines are replaced one at a time"


def _difference(before: object, after: object, name: str) -> str:
    return f"{name}: {_text(getattr(before, name))} -> {_text(getattr(after, name))}"


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_text, value)) or "none"
    return str(value) or "none"
