"""The generic check of requests against the constraints that the API's protos state (`yandex.cloud` field options).

They are looked up by full field name in `constraints.binpb` (see tools/extract_constraints.py), because the current
wheel has lost most of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldOptions, FileDescriptorSet
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.code_pb2 import Code
from yandex.cloud import validation_pb2

from samovar.localcloud.api.errors import Refused, Violation

DESCRIPTIONS = Path(__file__).with_name("constraints.binpb")
BILLION = 10**9
EARLIEST, LATEST = -62_135_596_800, 253_402_300_799
"""Seconds since 1970 of the years 1 and 9999."""
LONGEST = 315_576_000_000
"""Seconds in ten thousand years."""
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Constraint:
    """The constraints of one field, as the protos state them; an empty text is none."""

    required: bool = False
    pattern: str = ""
    value: str = ""
    size: str = ""
    length: str = ""
    bytes: str = ""
    unique: bool = False
    key_pattern: str = ""
    key_length: str = ""


@dataclass(frozen=True)
class Constraints:
    """All constraints by full field name, and the full names of oneofs of which exactly one field must be set."""

    fields: Mapping[str, Constraint]
    oneofs: frozenset[str]


@cache
def load() -> Constraints:
    """Read the constraints once."""
    fields: dict[str, Constraint] = {}
    oneofs: set[str] = set()
    for file in FileDescriptorSet.FromString(DESCRIPTIONS.read_bytes()).file:
        for message in file.message_type:
            _collect(message, file.package, fields, oneofs)
    return Constraints(fields, frozenset(oneofs))


def _collect(message: DescriptorProto, scope: str, fields: dict[str, Constraint], oneofs: set[str]) -> None:
    name = f"{scope}.{message.name}"
    for field in message.field:
        constraint = _constraint(field.options)
        if constraint != Constraint():
            fields[f"{name}.{field.name}"] = constraint
    oneofs.update(
        f"{name}.{oneof.name}" for oneof in message.oneof_decl if oneof.options.Extensions[validation_pb2.exactly_one]
    )
    for nested in message.nested_type:
        _collect(nested, name, fields, oneofs)


def _constraint(options: FieldOptions) -> Constraint:
    stated = options.Extensions
    keys = stated[validation_pb2.map_key]
    return Constraint(
        required=stated[validation_pb2.required],
        pattern=stated[validation_pb2.pattern],
        value=stated[validation_pb2.value],
        size=stated[validation_pb2.size],
        length=stated[validation_pb2.length],
        bytes=stated[validation_pb2.bytes],
        unique=stated[validation_pb2.unique],
        key_pattern=keys.pattern,
        key_length=keys.length,
    )


def check_constraints(request: Message) -> None:
    """Raise Refused with INVALID_ARGUMENT where a request breaks constraints, naming each field."""
    broken = tuple(violations(request))
    if broken:
        text = "; ".join(f"{violation.field}: {violation.description}" for violation in broken)
        raise Refused(Code.INVALID_ARGUMENT, f"Request validation error: {text}", broken)


def violations(request: Message, path: str = "") -> Iterator[Violation]:
    """Yield every broken constraint of a request, depth first, but for fields that an update's mask leaves out."""
    constraints = load()
    for field in _checked_fields(request):
        where = f"{path}{field.name}"
        constraint = constraints.fields.get(field.full_name)
        if constraint:
            yield from (Violation(where, text) for text in _broken(request, field, constraint))
        yield from _nested(request, field, where)
    for oneof in request.DESCRIPTOR.oneofs:
        if oneof.full_name in constraints.oneofs and request.WhichOneof(oneof.name) is None:
            options = ", ".join(field.name for field in oneof.fields)
            yield Violation(f"{path}{oneof.name}", f"exactly one of {options} must be set")


def _checked_fields(request: Message) -> list[FieldDescriptor]:
    """Return the fields of the mask; the first field of an update names the resource, so it always counts."""
    mask = getattr(request, "update_mask", None)
    chosen = {path.split(".")[0] for path in mask.paths} if mask else set()
    return [field for field in request.DESCRIPTOR.fields if not chosen or field.number == 1 or field.name in chosen]


def _nested(request: Message, field: FieldDescriptor, where: str) -> Iterator[Violation]:
    if field.message_type is None:
        return
    value = getattr(request, field.name)
    if field.message_type.GetOptions().map_entry:
        if field.message_type.fields_by_name["value"].message_type:
            for key, item in value.items():
                yield from violations(item, f"{where}[{key}].")
    elif field.is_repeated:
        for index, item in enumerate(value):
            yield from violations(item, f"{where}[{index}].")
    elif request.HasField(field.name):
        if isinstance(value, Timestamp | Duration) and not _is_time(value):
            yield Violation(where, f"is no valid {field.message_type.name.lower()}")
        yield from violations(value, f"{where}.")


def _is_time(value: Timestamp | Duration) -> bool:
    """Return whether a moment or a period is in the bounds that its proto states (timestamp.proto, duration.proto)."""
    if isinstance(value, Timestamp):
        return EARLIEST <= value.seconds <= LATEST and 0 <= value.nanos < BILLION
    same_sign = value.seconds * value.nanos >= 0
    return abs(value.seconds) <= LONGEST and abs(value.nanos) < BILLION and same_sign


def _broken(request: Message, field: FieldDescriptor, constraint: Constraint) -> Iterator[str]:
    value = getattr(request, field.name)
    if field.is_repeated:
        yield from _broken_collection(value, constraint)
    elif not _is_set(request, field, value):
        if constraint.required:
            yield "the field is required"
    elif field.message_type is None or field.message_type is Duration.DESCRIPTOR:
        yield from _broken_scalar(value, constraint)


def _is_set(request: Message, field: FieldDescriptor, value: object) -> bool:
    return request.HasField(field.name) if field.has_presence else bool(value)


def _broken_collection(value: Mapping[str, object] | Sequence[object], constraint: Constraint) -> Iterator[str]:
    if constraint.required and not value:
        yield "the field is required"
    if constraint.size and not _within(constraint.size, len(value)):
        yield f"must have {constraint.size} elements, has {len(value)}"
    if constraint.unique and len(set(value)) != len(value):
        yield "elements must be unique"
    keys, items = (value.keys(), value.values()) if isinstance(value, Mapping) else ((), value)
    for key in keys:
        if constraint.key_pattern and not _matches(constraint.key_pattern, key):
            yield f"key {key!r} must match {constraint.key_pattern}"
        if constraint.key_length and not _within(constraint.key_length, len(key)):
            yield f"key {key!r} must have a length of {constraint.key_length}"
    for item in items:
        if not isinstance(item, Message):
            yield from _broken_scalar(item, constraint)


def _broken_scalar(value: object, constraint: Constraint) -> Iterator[str]:
    if isinstance(value, str):
        if constraint.pattern and not _matches(constraint.pattern, value):
            yield f"must match {constraint.pattern}"
        if constraint.length and not _within(constraint.length, len(value)):
            yield f"must have a length of {constraint.length}, has {len(value)}"
    number = _number(value)
    if constraint.value and number is not None and not _within(constraint.value, number):
        yield f"must be {constraint.value}"


def _number(value: object) -> float | None:
    if isinstance(value, Duration):
        return value.seconds + value.nanos / 1e9
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _matches(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value) is not None


def _within(rule: str, number: float) -> bool:
    return _rule(rule)(number)


@cache
def _rule(rule: str) -> Callable[[float], bool]:
    """Compile a rule of one of the forms `>0`, `>=1`, `<=63`, `1-100`, `2,4,6` and `3`, with units of time."""
    if rule.startswith("19700101T"):
        return lambda _: True  # a range of timestamps that every timestamp is in
    if match := re.fullmatch(r"(>=|<=|>|<)(\d+\w*)", rule):
        bound = _bound(match[2])
        return {">": bound.__lt__, ">=": bound.__le__, "<": bound.__gt__, "<=": bound.__ge__}[match[1]]
    if match := re.fullmatch(r"(\d+[a-z]*)-(\d+[a-z]*)", rule):
        low, high = _bound(match[1]), _bound(match[2])
        return lambda number: low <= number <= high
    return frozenset(map(_bound, rule.split(","))).__contains__


def _bound(text: str) -> float:
    match = re.fullmatch(r"(\d+)([a-z]*)", text.strip())
    if not match:
        msg = f"constraints.binpb holds a bound that is not understood: {text!r}"
        raise ValueError(msg)
    return int(match[1]) * UNITS.get(match[2], 1.0)
