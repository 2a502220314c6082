"""Ends the operations whose resource has reached its goal or never will, and deletes what the store need not keep."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.pipeline import IDEMPOTENCY, KEY_RETENTION
from samovar.localcloud.clock import now
from samovar.localcloud.operations.model import FAILURE_REASON, RETENTION, WAITS_FOR, Goal, Operations
from samovar.localcloud.store.store import Store, kind_of

IN_PROGRESS = {
    Goal.RUNNING: frozenset({Instance.PROVISIONING, Instance.STARTING}),
    Goal.RESTARTED: frozenset({Instance.RESTARTING}),
    Goal.STOPPED: frozenset({Instance.STOPPING}),
}
"""An instance gets this status with the call; once it has another one, nothing brings it to the goal any more."""
ABANDONED = frozenset({InstanceGroup.STOPPING, InstanceGroup.STOPPED, InstanceGroup.DELETING})
PERIOD = 60.0
"""Seconds between two looks for what has expired."""
BATCH = 500
"""How much one step deletes at most, so that none takes long."""
RETENTION_STARTED = ("retention", "retention.begun")
Outcome = Callable[[Goal, str], Message | None]
"""Returns the response of an operation on a resource, or its error as a Status, or None while it is under way."""


class OperationController:
    """`reconcile` is cheap where nothing is pending."""

    def __init__(self, store: Store, operations: Operations, group_settled: Callable[[str], bool]) -> None:
        self._store = store
        self._operations = operations
        self._group_settled = group_settled
        self._outcomes: dict[str, Outcome] = {
            kind_of(Disk): lambda _, disk_id: self._file_outcome(Disk, disk_id),
            kind_of(Image): lambda _, image_id: self._file_outcome(Image, image_id),
            kind_of(Instance): self._instance_outcome,
            kind_of(InstanceGroup): self._group_outcome,
            kind_of(Snapshot): lambda _, snapshot_id: self._file_outcome(Snapshot, snapshot_id),
        }

    async def reconcile(self) -> None:
        for operation_id, waits_for in self._operations.pending().items():
            outcome = self._outcomes[waits_for["kind"]](Goal(waits_for["goal"]), waits_for["id"])
            if outcome is not None:
                self._operations.finish(operation_id, outcome)

    def _file_outcome(self, kind: type[Disk | Image | Snapshot], resource_id: str) -> Message | None:
        resource = self._store.get(kind, resource_id)
        if resource is None:
            return _failed(f"{kind.__name__} {resource_id} was deleted")
        if resource.status == kind.ERROR:
            reason = self._store.noted(resource_id, FAILURE_REASON, "")
            return _failed(f"{kind.__name__} {resource_id} is ERROR. {reason}")
        return resource if resource.status == kind.READY else None

    def _instance_outcome(self, goal: Goal, instance_id: str) -> Message | None:
        instance = self._store.get(Instance, instance_id)
        if instance is None:
            return Empty() if goal is Goal.DELETED else _failed(f"Instance {instance_id} was deleted")
        if goal is Goal.DELETED or instance.status in IN_PROGRESS[goal]:
            return None
        if goal is not Goal.STOPPED and instance.status == Instance.RUNNING:
            return instance if goal is Goal.RUNNING else Empty()
        if goal is Goal.STOPPED and instance.status not in {Instance.DELETING, Instance.ERROR}:
            return Empty()
        reason = self._store.noted(instance_id, FAILURE_REASON, "")
        return _failed(f"Instance {instance_id} is {Instance.Status.Name(instance.status)}. {reason}".strip())

    def _group_outcome(self, goal: Goal, group_id: str) -> Message | None:
        group = self._store.get(InstanceGroup, group_id)
        if group is None:
            return Empty() if goal is Goal.DELETED else _failed(f"InstanceGroup {group_id} was deleted")
        if goal is Goal.SETTLED and group.status in ABANDONED:
            return _failed(f"InstanceGroup {group_id} is {InstanceGroup.Status.Name(group.status)}")
        reached = {
            Goal.SETTLED: group.status == InstanceGroup.ACTIVE and self._group_settled(group_id),
            Goal.STOPPED: group.status not in {InstanceGroup.STOPPING, InstanceGroup.DELETING},
        }
        return group if reached.get(goal) else None


def _failed(message: str) -> Status:
    return Status(code=Code.ABORTED, message=message)


class Retention:
    """Deletes finished operations and idempotency keys on the dates that are stored with them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next = 0.0
        if not store.noted(*RETENTION_STARTED):
            self._date_older()

    async def reconcile(self) -> None:
        """Deletes one batch of what has expired; the next call goes on where there is more."""
        if now() < self._next:
            return
        if self._store.drop_expired(Operation, now(), BATCH) < BATCH:
            self._next = now() + PERIOD

    def _date_older(self) -> None:
        """Dates the operations and keys of a store of an earlier version, which have none."""
        with self._store.transaction():
            pending = self._store.all_noted(WAITS_FOR)
            for operation_id in self._store.ids(Operation):
                if operation_id not in pending:
                    self._store.expire(operation_id, now() + RETENTION)
            for key in self._store.all_noted(IDEMPOTENCY):
                self._store.expire(key, now() + KEY_RETENTION)
            self._store.note(*RETENTION_STARTED, value=True)
