"""Rules by which a profile refuses calls: which resource a call is about, what is in use, and how many are too many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

PARENTS = frozenset({"folder_id", "cloud_id", "organization_id"})
REFERENCES = ("_id", "_ids")
NOT_USED = PARENTS | {"zone_id", "region_id", "platform_id", "type_id", "service_account_id", "role_id", "image_id"}
"""Fields with an id of something that can be deleted at any time, or never."""
FREED_LATE = frozenset(
    {
        "yandex.cloud.compute.v1.Instance",
        "yandex.cloud.compute.v1.instancegroup.InstanceGroup",
        "yandex.cloud.loadbalancer.v1.NetworkLoadBalancer",
    }
)
"""The kinds of resources after whose deletion what they used is in use for a while."""
BINDINGS = "AccessBindings"


BURST = 2.0
"""Seconds whose calls may come at once."""


@dataclass(frozen=True)
class Bucket:
    """A token bucket: `rate` calls a second, `refuses` the last one."""

    rate: float
    tokens: float
    at: float
    refuses: bool = False

    @classmethod
    def full(cls, rate: float, now: float) -> Bucket:
        return cls(rate, rate * BURST, now)

    def after(self, now: float) -> Bucket:
        """Returns the bucket after one more call, which takes a token where there is one."""
        tokens = min(self.rate * BURST, self.tokens + (now - self.at) * self.rate)
        refuses = tokens < 1
        return Bucket(self.rate, tokens if refuses else tokens - 1, now, refuses)


def subject_of_change(method: MethodDescriptor, request: Message) -> str:
    """Returns the id of the resource that a call changes; empty for one that makes a new one."""
    if method.name.startswith("Create"):
        return ""
    for field in request.DESCRIPTOR.fields:
        if field.name.endswith("_id") and field.name not in PARENTS and field.type == FieldDescriptor.TYPE_STRING:
            return str(getattr(request, field.name))
    return ""


def changes_bindings(method: MethodDescriptor) -> bool:
    """Returns whether a method changes who may do what."""
    return method.name.endswith(BINDINGS) and not method.name.startswith("List")


def references(message: Message) -> Iterator[str]:
    """Yields the ids of the resources that a resource uses."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING and field.name.endswith(REFERENCES):
            if field.name not in NOT_USED:
                yield from value if field.is_repeated else (value,)
        elif field.type == FieldDescriptor.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            for inner in value if field.is_repeated else (value,):
                yield from references(inner)
