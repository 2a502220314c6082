"""The filters and the order of a List request, in the language that the protos of Compute Cloud describe.

A filter is conditions with AND between them, each a field, `=`, `!=`, `IN` or `NOT IN`, and texts in quotes. An order
is a field and a direction, as in `createdAt desc`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from samovar.localcloud.api.errors import invalid


class Described(Protocol):
    """A message of the API."""

    DESCRIPTOR: Descriptor


D = TypeVar("D", bound=Described)

TEXT = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
TEST = rf"!?=\s*{TEXT}|(?:NOT\s+)?IN\s*\(\s*{TEXT}(?:\s*,\s*{TEXT})*\s*\)"
CONDITION = re.compile(rf"(\w+)\s*({TEST})")
ONE = rf"\s*\w+\s*(?:{TEST})\s*"
FILTER = re.compile(rf"{ONE}(?:AND\b{ONE})*")
ORDER = re.compile(r"\s*(\w+)(?:\s+(asc|desc))?\s*", re.IGNORECASE)


def filtered(items: Iterable[D], text: str) -> Sequence[D]:
    """Return the items that meet every condition of a filter."""
    if not text:
        return list(items)
    if not FILTER.fullmatch(text):
        raise invalid(f'filter {text!r} is not understood; it has the form name="..."', "filter")
    conditions = CONDITION.findall(text)
    return [item for item in items if all(_meets(item, field, test) for field, test in conditions)]


def ordered(items: Sequence[D], text: str) -> Sequence[D]:
    """Return the items in the order that is asked for."""
    if not text:
        return items
    match = ORDER.fullmatch(text)
    if not match:
        raise invalid(f"order_by {text!r} is not understood; it has the form name desc", "order_by")
    descending = (match[2] or "").lower() == "desc"
    return sorted(items, key=partial(_value, name=match[1], where="order_by"), reverse=descending)


def _meets(item: Described, field: str, test: str) -> bool:
    value = _value(item, field, "filter")
    named = [re.sub(r"\\(.)", r"\1", quoted[1:-1]) for quoted in re.findall(TEXT, test)]
    return (value in named) != test.startswith(("!", "NOT"))


def _value(item: Described, name: str, where: str) -> str:
    """Return a field as a filter names it: of an enumeration by its name, a moment as JSON has it."""
    field = next((each for each in item.DESCRIPTOR.fields if name in {each.name, each.camelcase_name}), None)
    if field is None or field.is_repeated:
        raise invalid(f"{where} names no field: {name}", where)
    value = getattr(item, field.name)
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    if field.type == FieldDescriptor.TYPE_ENUM and value in field.enum_type.values_by_number:
        return str(field.enum_type.values_by_number[value].name)
    return str(value)
