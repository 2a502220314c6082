"""Random requests of any method, made from its descriptor and from the constraints that the protos state.

Most fields keep to their constraints, so that a request gets past the check of them; some break them, or hold what no
client would send. The same seed makes the same requests.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from samovar.localcloud.api.constraints import Constraint, load

STRANGE: Sequence[str] = (
    "",
    "x" * 5000,
    "\x00",
    "é" * 70,
    "-1",
    "../../etc",
    "{instance.index}",
    "%s",
    "10.0.0.0/33",
    "0",
)
PLAIN = ("a", "web-1", "key", "data", "ru-central1-a", "ru-central1-b", "network-ssd", "standard-v3", "vm.internal.")
ADDRESSES = ("10.1.0.5", "10.1.0.0/24", "192.168.7.0/24", "0.0.0.0/0", "127.66.0.9", "fd00::1")
LARGE = (-1, 0, 1, 2, 10, 80, 4096, 2**30, 2 * 2**30, 10 * 2**30, 2**31 - 1, 2**62)
DEEPEST = 5
FORMS: Sequence[tuple[str, Sequence[str]]] = (
    ("zone_id", ("ru-central1-a", "ru-central1-b", "ru-central1-z")),
    ("platform_id", ("standard-v1", "standard-v2", "standard-v3")),
    ("type_id", ("network-hdd", "network-ssd", "network-none")),
    ("address", ADDRESSES),
    ("cidr", ADDRESSES),
    ("prefix", ADDRESSES),
    ("role", ("viewer", "editor", "admin", "nobody")),
    ("filter", ('name="a"', "name = 'web-1'", "nothing=1", 'id="x" AND name="y"')),
    ("page_token", ("1-", "100-fhm", "x")),
    ("uri", ("https://127.0.0.1/storage/images/x.raw",)),
)
"""Values that mean something, by a part of the field's name."""


class RandomRequests:
    """Makes requests; `ids` returns the ids of what there is of a kind such as `Subnet`, so that requests find it."""

    def __init__(self, seed: int, ids: Callable[[str], Sequence[str]]) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same requests each time
        self._ids = ids
        self._fields = load().fields

    def request(self, descriptor: Descriptor, *, wild: float) -> Message:
        """Return a request; `wild` is the share of its fields that keep to nothing."""
        return self._message(descriptor, wild, 0)

    def _message(self, descriptor: Descriptor, wild: float, depth: int) -> Message:
        message: Message = GetMessageClass(descriptor)()
        chosen = {oneof.name: self._random.choice(oneof.fields).name for oneof in descriptor.oneofs}
        for field in descriptor.fields:
            constraint = self._fields.get(field.full_name, Constraint())
            one = field.containing_oneof
            if one and chosen[one.name] != field.name:
                continue
            if one or constraint.required or self._random.random() < 0.7 / (depth + 1):
                self._set(message, field, constraint, wild, depth)
        return message

    def _set(self, message: Message, field: FieldDescriptor, constraint: Constraint, wild: float, depth: int) -> None:
        if field.message_type is FieldMask.DESCRIPTOR:
            names = [each.name for each in message.DESCRIPTOR.fields if each.name != field.name]
            paths = self._random.sample(names, self._random.randint(0, len(names)))
            getattr(message, field.name).paths.extend(paths if not self._is(wild) else ["no.such", ""])
        elif field.is_repeated:
            self._set_many(message, field, constraint, wild, depth)
        elif field.message_type:
            if depth < DEEPEST:
                getattr(message, field.name).CopyFrom(self._message(field.message_type, wild, depth + 1))
                getattr(message, field.name).SetInParent()
        else:
            setattr(message, field.name, self._scalar(field, constraint, wild))

    def _set_many(
        self, message: Message, field: FieldDescriptor, constraint: Constraint, wild: float, depth: int
    ) -> None:
        count = self._random.choice((1, 1, 2, 3, 70 if self._is(wild) else 1))
        target: Any = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            for key in self._random.sample(("a", "b-1", "user-data", "Ä" if self._is(wild) else "c"), min(count, 3)):
                if field.message_type.fields_by_name["value"].message_type is None:
                    target[key] = self._text(field.message_type.fields_by_name["value"], Constraint(), wild)
        elif field.message_type:
            if depth < DEEPEST:
                target.extend(self._message(field.message_type, wild, depth + 1) for _ in range(min(count, 3)))
        else:
            target.extend(self._scalar(field, constraint, wild) for _ in range(count))

    def _scalar(self, field: FieldDescriptor, constraint: Constraint, wild: float) -> Any:
        if field.enum_type:
            numbers = [value.number for value in field.enum_type.values]
            return 4711 if self._is(wild) else self._random.choice(numbers)
        if field.type == FieldDescriptor.TYPE_BOOL:
            return self._random.random() < 0.5
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._text(field, constraint, wild)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return bytes(self._random.randbytes(8))
        return self._number(field, constraint, wild)

    def _text(self, field: FieldDescriptor, constraint: Constraint, wild: float) -> str:
        if self._is(wild):
            return self._random.choice(STRANGE)
        for part, values in FORMS:
            if part in field.name:
                return self._random.choice(values)
        if field.name.endswith(("_id", "_ids")) and self._random.random() < 0.95:
            kind = "".join(word.title() for word in re.sub(r"_ids?$", "", field.name).split("_"))
            if existing := self._ids(kind) or self._ids(""):
                return self._random.choice(existing)
        fitting = [text for text in PLAIN if not constraint.pattern or re.fullmatch(constraint.pattern, text)]
        return self._random.choice(fitting or PLAIN)

    def _number(self, field: FieldDescriptor, constraint: Constraint, wild: float) -> float:
        low, high = _bounds(field)
        values = [value for value in LARGE if low <= value <= high]
        stated = [int(digits) for digits in re.findall(r"\d+", constraint.value) if low <= int(digits) <= high]
        return self._random.choice(values if self._is(wild) or not stated else stated)

    def _is(self, share: float) -> bool:
        return self._random.random() < share


def _bounds(field: FieldDescriptor) -> tuple[int, int]:
    unsigned = field.type in {FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64}
    narrow = field.type in {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_SINT32}
    return (0 if unsigned else -1), (2**31 - 1 if narrow else 2**62)
