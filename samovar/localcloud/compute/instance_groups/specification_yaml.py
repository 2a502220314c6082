"""Parses a group's specification from YAML: the message's own fields in snake_case, sizes as `2g`, durations as `30s`.

Sizes have the binary suffixes k, m, g, t and p (documented in specification.md).
"""

from __future__ import annotations

import json
import re
from typing import TypeVar

import yaml
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from samovar.localcloud.api.errors import invalid

M = TypeVar("M", bound=Message)

FIELD = "instance_group_yaml"
SIZE = re.compile(r"(\d+)([kmgtp])", re.IGNORECASE)
DURATION = re.compile(r"(\d+)([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
INTEGERS = frozenset(
    {FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_UINT32}
)


class _Loader(yaml.SafeLoader):
    """The loader refuses aliases, which could make a small text a large specification."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not served")
        return super().compose_node(parent, index)


def parse(text: str, message: M) -> M:
    """Fill a message from the YAML and return it. Raises Refused for a field that the message lacks."""
    try:
        plain = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
        json.dumps(plain, default=str, ensure_ascii=False).encode()  # what UTF-8 has not breaks protobuf
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise invalid(f"the YAML is not understood: {error}", FIELD) from error
    descriptor = message.DESCRIPTOR
    assert isinstance(descriptor, Descriptor)  # noqa: S101 - shows the type checker what it is
    try:
        json_format.ParseDict(_message(plain, descriptor, ""), message)
    except (json_format.Error, ValueError, TypeError, RecursionError) as error:
        raise invalid(f"the specification is not understood: {error}", FIELD) from error
    return message


def _message(plain: object, descriptor: Descriptor, path: str) -> dict[str, object]:
    if not isinstance(plain, dict):
        raise invalid(f"{path or 'the specification'} is no mapping", FIELD)
    return {str(name): _field(value, descriptor, str(name), path) for name, value in plain.items()}


def _field(value: object, descriptor: Descriptor, name: str, path: str) -> object:
    field = descriptor.fields_by_name.get(name)
    where = f"{path}{name}"
    if field is None:
        raise invalid(f"{where} is no field of a specification", FIELD)
    if value is None:
        return None
    if field.message_type and field.message_type.GetOptions().map_entry:
        return _map(value, field.message_type.fields_by_name["value"], where)
    if field.is_repeated:
        if not isinstance(value, list):
            raise invalid(f"{where} is no list", FIELD)
        return [_value(item, field, f"{where}[{index}]") for index, item in enumerate(value)]
    return _value(value, field, where)


def _map(value: object, field: FieldDescriptor, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise invalid(f"{where} is no mapping", FIELD)
    return {str(key): _value(item, field, f"{where}.{key}") for key, item in value.items()}


def _value(value: object, field: FieldDescriptor, where: str) -> object:
    """Return a value in protobuf's JSON form."""
    if field.message_type is Duration.DESCRIPTOR:
        return _duration(str(value), where)
    if field.message_type:
        return _message(value, field.message_type, f"{where}.")
    if field.type == FieldDescriptor.TYPE_STRING and isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if field.type in INTEGERS and isinstance(value, str) and (size := SIZE.fullmatch(value)):
        return int(size[1]) << 10 * ("kmgtp".index(size[2].lower()) + 1)
    return value


def _duration(text: str, where: str) -> str:
    duration = DURATION.fullmatch(text)
    if not duration:
        raise invalid(f"{where}: {text} is no duration such as 30s", FIELD)
    return f"{int(duration[1]) * SECONDS[duration[2]]}s"
