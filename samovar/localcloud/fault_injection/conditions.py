"""Lets calls, operations, machines and balancers meet the conditions of a profile, by rules that are pure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.core.api_methods import is_read
from samovar.localcloud import clock
from samovar.localcloud.api.errors import Refused, precondition
from samovar.localcloud.api.pipeline import IDEMPOTENCY, Call, Proceed, idempotency_id
from samovar.localcloud.fault_injection.faults import MESSAGES, NO_CAPACITY, FailedOperations, starts_operation
from samovar.localcloud.fault_injection.profile import Draws, Profile
from samovar.localcloud.iam.authorization import AccessBindings
from samovar.localcloud.operations.model import Operations, WorkFailed
from samovar.localcloud.store.store import Store, Stored, kind_of

COMPUTE = "yandex.cloud.compute.v1."
GROUPS = "yandex.cloud.compute.v1.instancegroup."
DELETE = "Delete"
TOO_MANY_CALLS = "Too many requests"
"""Assumed."""
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


class Conditions:
    """The shell around a profile: it draws, looks at the clock and the store, and waits or refuses.

    What it remembers of calls and deletions lasts seconds, and is forgotten with the daemon.
    """

    def __init__(
        self,
        profile: Profile,
        draws: Draws,
        store: Store,
        operations: Operations,
        failed_operations: FailedOperations,
        subject_of: Callable[[str], str | None],
    ) -> None:
        self._profile = profile
        self._draws = draws
        self._store = store
        self._operations = operations
        self._failed_operations = failed_operations
        self._subject_of = subject_of
        self._bindings = AccessBindings(store)
        self._buckets: dict[tuple[str, bool], Bucket] = {}
        self._released: dict[str, float] = {}
        self._changing: dict[str, str] = {}
        store.on_delete(self._release)

    async def intercept(self, call: Call, proceed: Proceed) -> Message:
        """Refuse a call that comes too often or too early, or let its operation fail; else carry it out."""
        self._check_rate(call)
        if is_read(call.method.full_name) or self._was_carried_out(call):
            return await proceed()
        self._check_active_operations(call)
        subject = subject_of_change(call.method, call.request)
        self._check_conflict(call, subject)
        if call.method.name == DELETE and clock.now() < self._released.get(subject, 0.0):
            raise precondition(f"Resource {subject} is in use")
        if starts_operation(call.method) and self._strikes(call.method.full_name, self._profile.failed_operations):
            return self._failed_operations.make(call, Status(code=Code.INTERNAL, message=MESSAGES[Code.INTERNAL]))
        return await self._carry_out(call, proceed, subject)

    async def before_start(self, instance: Instance) -> None:
        """Wait as long as a machine takes to start. Raises WorkFailed where its zone has no capacity."""
        await asyncio.sleep(self._profile.boot.at(self._draws.next("boot")))
        if self._strikes("capacity", self._profile.no_capacity):
            raise WorkFailed(NO_CAPACITY.format(zone=instance.zone_id), status=Code.RESOURCE_EXHAUSTED)

    def hold_operation(self) -> float:
        """Return the seconds until an operation is done that needs no work."""
        return self._profile.operation.at(self._draws.next("operation"))

    def routing_delay(self, *, shifts_zone: bool) -> float:
        """Return the seconds until a balancer acts on a change of health."""
        if shifts_zone:
            return self._profile.zonal_shift.at(self._draws.next("zonal shift"))
        return self._profile.routing.at(self._draws.next("routing"))

    def has_target_group_by_now(self, group: InstanceGroup) -> bool:
        """Return whether it is time for a new group to have its target group."""
        delay = self._profile.target_group.at(self._draws.of(f"target group {group.name}"))
        return clock.now() >= created(group) + delay

    def has_name_by_now(self, machine_id: str) -> bool:
        """Return whether it is time for a new machine to have its name."""
        instance = self._store.get(Instance, machine_id)
        delay = self._profile.name.at(self._draws.of(f"name {machine_id}"))
        return instance is not None and clock.now() >= created(instance) + delay

    def tail(self, console: bytes) -> bytes:
        """Return what is kept of a serial log."""
        return console[-self._profile.console :]

    def _was_carried_out(self, call: Call) -> bool:
        """Return whether an earlier call with this idempotency key was: then this one is only answered again."""
        noted = self._store.noted(idempotency_id(call, self._subject_of(call.token) or ""), IDEMPOTENCY)
        return bool(call.idempotency_key and noted)

    def _strikes(self, what: str, share: float) -> bool:
        return self._draws.next(what) < share

    def _check_rate(self, call: Call) -> None:
        reads = is_read(call.method.full_name)
        caller = (self._subject_of(call.token) or "", reads)
        rate = self._profile.reads_per_second if reads else self._profile.changes_per_second
        bucket = self._buckets.get(caller) or Bucket.full(rate, clock.now())
        self._buckets[caller] = bucket.after(clock.now())
        if self._buckets[caller].refuses:
            raise Refused(Code.RESOURCE_EXHAUSTED, TOO_MANY_CALLS)

    def _check_active_operations(self, call: Call) -> None:
        if not _of_compute(call.method.full_name):
            return
        active = (self._store.must(Operation, each) for each in self._operations.unfinished())
        if sum(_of_compute(each.metadata.TypeName()) for each in active) >= self._profile.active_operations:
            raise Refused(Code.RESOURCE_EXHAUSTED, MESSAGES[Code.RESOURCE_EXHAUSTED])

    def _check_conflict(self, call: Call, subject: str) -> None:
        """Refuse a change of a resource whose last change is not done; bindings conflict with ABORTED."""
        if self._changing.get(subject) not in self._operations.held():
            return
        if changes_bindings(call.method):
            raise Refused(Code.ABORTED, f"Access bindings of {subject} are being changed by another operation")
        raise precondition(f"Resource {subject} is being changed by another operation")

    async def _carry_out(self, call: Call, proceed: Proceed, subject: str) -> Message:
        bound = self._bindings.bindings(subject)
        response = await proceed()
        if subject and isinstance(response, Operation):
            self._changing[subject] = response.id
        if changes_bindings(call.method):
            delay = self._profile.access_binding.at(self._draws.next("access binding"))
            added = [each for each in self._bindings.bindings(subject) if each not in bound]
            self._bindings.postpone(subject, added, until=clock.now() + delay)
        return response

    def _release(self, resource: Stored) -> None:
        """Keep what a deleted resource used in use for a while."""
        if kind_of(type(resource)) in FREED_LATE and isinstance(resource, Message):
            until = clock.now() + self._profile.release.at(self._draws.next("release"))
            self._released |= dict.fromkeys(references(resource), until)


def created(resource: InstanceGroup | Instance) -> float:
    """Return the time of a resource's creation, in seconds since 1970."""
    return resource.created_at.ToNanoseconds() / 1e9


def _of_compute(name: str) -> bool:
    """Return whether a method or a message is Compute Cloud's own, and not of its instance groups."""
    return name.startswith(COMPUTE) and not name.startswith(GROUPS)


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
        """Return the bucket after one more call, which takes a token where there is one."""
        tokens = min(self.rate * BURST, self.tokens + (now - self.at) * self.rate)
        refuses = tokens < 1
        return Bucket(self.rate, tokens if refuses else tokens - 1, now, refuses)


def subject_of_change(method: MethodDescriptor, request: Message) -> str:
    """Return the id of the resource that a call changes; empty for one that makes a new one."""
    if method.name.startswith("Create"):
        return ""
    for field in request.DESCRIPTOR.fields:
        if field.name.endswith("_id") and field.name not in PARENTS and field.type == FieldDescriptor.TYPE_STRING:
            return str(getattr(request, field.name))
    return ""


def changes_bindings(method: MethodDescriptor) -> bool:
    """Return whether a method changes who may do what."""
    return method.name.endswith(BINDINGS) and not method.name.startswith("List")


def references(message: Message) -> Iterator[str]:
    """Yield the ids of the resources that a resource uses."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING and field.name.endswith(REFERENCES):
            if field.name not in NOT_USED:
                yield from value if field.is_repeated else (value,)
        elif field.type == FieldDescriptor.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            for inner in value if field.is_repeated else (value,):
                yield from references(inner)
