"""Follows the operations that wait for a resource, and ends them when it is there, or when it never will be."""

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

from samovar.localcloud.operations.model import Goal, Operations
from samovar.localcloud.store.store import Store, kind_of

REASON = "failure.reason"
ON_THE_WAY = {
    Goal.RUNNING: frozenset({Instance.PROVISIONING, Instance.STARTING}),
    Goal.RESTARTED: frozenset({Instance.RESTARTING}),
    Goal.STOPPED: frozenset({Instance.STOPPING}),
}
"""An instance is given this status with the call; once it has another one, nobody brings it to the goal any more."""
GIVEN_UP = frozenset({InstanceGroup.STOPPING, InstanceGroup.STOPPED, InstanceGroup.DELETING})
Judge = Callable[[Goal, str], Message | None]


class Follower:
    """`step` is cheap where nothing is pending."""

    def __init__(self, store: Store, operations: Operations, group_settled: Callable[[str], bool]) -> None:
        self._store = store
        self._operations = operations
        self._group_settled = group_settled
        self._judges: dict[str, Judge] = {
            kind_of(Disk): lambda _, disk_id: self._made(Disk, disk_id),
            kind_of(Image): lambda _, image_id: self._made(Image, image_id),
            kind_of(Instance): self._instance,
            kind_of(InstanceGroup): self._group,
            kind_of(Snapshot): lambda _, snapshot_id: self._made(Snapshot, snapshot_id),
        }

    async def step(self) -> None:
        for operation_id, waits_for in self._operations.pending().items():
            outcome = self._judges[waits_for["kind"]](Goal(waits_for["goal"]), waits_for["id"])
            if outcome is not None:
                self._operations.finish(operation_id, outcome)

    def _made(self, kind: type[Disk | Image | Snapshot], resource_id: str) -> Message | None:
        found = self._store.get(kind, resource_id)
        if found is None:
            return _failed(f"{kind.__name__} {resource_id} was deleted")
        if found.status == kind.ERROR:
            return _failed(f"{kind.__name__} {resource_id} is ERROR. {self._store.noted(resource_id, REASON, '')}")
        return found if found.status == kind.READY else None

    def _instance(self, goal: Goal, instance_id: str) -> Message | None:
        instance = self._store.get(Instance, instance_id)
        if instance is None:
            return Empty() if goal is Goal.GONE else _failed(f"Instance {instance_id} was deleted")
        if goal is Goal.GONE or instance.status in ON_THE_WAY[goal]:
            return None
        if goal is not Goal.STOPPED and instance.status == Instance.RUNNING:
            return instance if goal is Goal.RUNNING else Empty()
        if goal is Goal.STOPPED and instance.status not in {Instance.DELETING, Instance.ERROR}:
            return Empty()
        reason = self._store.noted(instance_id, REASON, "")
        return _failed(f"Instance {instance_id} is {Instance.Status.Name(instance.status)}. {reason}".strip())

    def _group(self, goal: Goal, group_id: str) -> Message | None:
        group = self._store.get(InstanceGroup, group_id)
        if group is None:
            return Empty() if goal is Goal.GONE else _failed(f"InstanceGroup {group_id} was deleted")
        if goal is Goal.SETTLED and group.status in GIVEN_UP:
            return _failed(f"InstanceGroup {group_id} is {InstanceGroup.Status.Name(group.status)}")
        reached = {
            Goal.SETTLED: group.status == InstanceGroup.ACTIVE and self._group_settled(group_id),
            Goal.STOPPED: group.status not in {InstanceGroup.STOPPING, InstanceGroup.DELETING},
        }
        return group if reached.get(goal) else None


def _failed(message: str) -> Status:
    return Status(code=Code.ABORTED, message=message)
