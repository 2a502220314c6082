"""Reads what a report holds out of the API's messages: states, names of fields, and texts without ids. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.symbol_database import Default

STATUS = "status"
SUBJECT = ("id", "instance_id", "address", "name")
"""The fields that tell two messages of one kind apart; the first that is set does."""
SECRETS = (
    (re.compile(r"\bt1\.[\w=.-]+"), "<token>"),
    (re.compile(r"\by[0-3]_[\w-]+"), "<token>"),
    (re.compile(r"[\w.+-]+@[\w.-]+"), "<e-mail>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?:/\d+|:\d+)?"), "<address>"),
    (re.compile(r"\b[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,7}\b"), "<address>"),
    (re.compile(r"\b[a-z0-9]{20}\b"), "<id>"),
    (re.compile(r"\b[A-Za-z0-9+/_=]{32,}"), "<secret>"),
)
"""What may not stand in a report, and what stands there instead. An id of Yandex Cloud has 20 characters."""


class State(NamedTuple):
    """The state of one resource: its kind is the name of the API's message, `subject` tells it from others."""

    kind: str
    subject: str
    state: str


def states_of(message: Message) -> Iterator[State]:
    """Yield the state of each resource in a message: whatever has a field `status` of named values."""
    if isinstance(message, AnyMessage):
        message = opened(message) or message
    field = message.DESCRIPTOR.fields_by_name.get(STATUS)
    if field is not None and field.enum_type is not None:
        number = getattr(message, STATUS)
        value = field.enum_type.values_by_number.get(number)
        yield State(message.DESCRIPTOR.name, _subject(message), value.name if value else str(number))
    for _, inner in _inner(message):
        yield from states_of(inner)


def fields_of(message: Message, path: str = "") -> Iterator[str]:
    """Yield the path of each field that is set: `instances[].boot_disk.disk_id`. Keys of maps are not part of it."""
    if isinstance(message, AnyMessage):
        inside = opened(message)
        if inside is not None:
            yield from fields_of(inside, f"{path}({inside.DESCRIPTOR.name})")
        return
    for field, _ in message.ListFields():
        yield f"{path}.{field.name}{_mark(field)}".removeprefix(".")
    for field, inner in _inner(message):
        yield from fields_of(inner, f"{path}.{field.name}{_mark(field)}".removeprefix("."))


def opened(packed: AnyMessage) -> Message | None:
    """Return the message inside; None where there is none, or one that this SDK does not know."""
    try:
        kind: type[Message] = Default().GetSymbol(packed.TypeName())
    except KeyError:
        return None
    return kind.FromString(packed.value)


def type_of(packed: AnyMessage) -> str:
    """Return the short name of the message inside, or nothing."""
    return packed.TypeName().rpartition(".")[2]


def scrubbed(text: str, words: Collection[str]) -> str:
    """Return a text without ids, addresses and secrets; `words` are others that may not stand in it."""
    for word in sorted(filter(None, words), key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", "<name>", text)
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def _subject(message: Message) -> str:
    names = (name for name in SUBJECT if name in message.DESCRIPTOR.fields_by_name)
    return next((str(value) for name in names if (value := getattr(message, name))), "")


def _inner(message: Message) -> Iterator[tuple[FieldDescriptor, Message]]:
    """Yield the messages in a message, each with its field."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if _is_map(field):
            held = [each for each in value.values() if isinstance(each, Message)]
        else:
            held = list(value) if _is_repeated(field) else [value]
        yield from ((field, each) for each in held)


def _mark(field: FieldDescriptor) -> str:
    return "{}" if _is_map(field) else "[]" if _is_repeated(field) else ""


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)
