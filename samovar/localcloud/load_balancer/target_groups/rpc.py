"""yandex.cloud.loadbalancer: target groups. A network interface is in one target group at most."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.loadbalancer.v1 import target_group_service_pb2 as rpc
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import NetworkLoadBalancer
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target, TargetGroup
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.resources.model import ResourceService, fill, page, stamp, update
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store

REGION = "ru-central1"


class TargetGroupService(ResourceService[TargetGroup]):
    """Targets are addresses; who answers there is not asked."""

    kind, noun, id_field = TargetGroup, "TargetGroup", "target_group_id"

    def List(self, request: rpc.ListTargetGroupsRequest, _: Caller) -> rpc.ListTargetGroupsResponse:
        found = self.store.all(TargetGroup, scope=request.folder_id)
        return page(request, rpc.ListTargetGroupsResponse(), "target_groups", found)

    def Create(self, request: rpc.CreateTargetGroupRequest, caller: Caller) -> Operation:
        self.admit(request.folder_id, request.name)
        group = TargetGroup(id=new_id("target-group"))
        fill(group, request)
        group.region_id = group.region_id or REGION
        check_targets(self.store, group.id, group.targets)
        stamp(group)
        self.store.put(group)
        metadata = rpc.CreateTargetGroupMetadata(target_group_id=group.id)
        return self.operations.done(caller, "Create target group", metadata, group)

    def Update(self, request: rpc.UpdateTargetGroupRequest, caller: Caller) -> Operation:
        group = self.find(request)
        update(group, request, self.id_field)
        self.claim_name(group.folder_id, group.name, group.id)
        check_targets(self.store, group.id, group.targets)
        self.store.put(group)
        metadata = rpc.UpdateTargetGroupMetadata(target_group_id=group.id)
        return self.operations.done(caller, "Update target group", metadata, group)

    def Delete(self, request: rpc.DeleteTargetGroupRequest, caller: Caller) -> Operation:
        group = self.find(request)
        delete_target_group(self.store, group.id)
        metadata = rpc.DeleteTargetGroupMetadata(target_group_id=group.id)
        return self.operations.gone(caller, "Delete target group", metadata)

    def AddTargets(self, request: rpc.AddTargetsRequest, caller: Caller) -> Operation:
        group = self.find(request)
        add_targets(self.store, group.id, request.targets)
        metadata = rpc.AddTargetsMetadata(target_group_id=group.id)
        return self.operations.done(caller, "Add targets", metadata, self.by_id(group.id))

    def RemoveTargets(self, request: rpc.RemoveTargetsRequest, caller: Caller) -> Operation:
        group = self.find(request)
        missing = [target for target in request.targets if target not in group.targets]
        if missing:
            raise not_found("Target", f"{missing[0].address}#{missing[0].subnet_id}")
        remove_targets(self.store, group.id, request.targets)
        metadata = rpc.RemoveTargetsMetadata(target_group_id=group.id)
        return self.operations.done(caller, "Remove targets", metadata, self.by_id(group.id))

    def ListOperations(
        self, request: rpc.ListTargetGroupOperationsRequest, _: Caller
    ) -> rpc.ListTargetGroupOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, rpc.ListTargetGroupOperationsResponse(), "operations", found)


def attached_to(store: Store, target_group_id: str) -> list[NetworkLoadBalancer]:
    """The balancers that send to a target group."""
    return [
        balancer
        for balancer in store.all(NetworkLoadBalancer)
        if any(attached.target_group_id == target_group_id for attached in balancer.attached_target_groups)
    ]


def check_targets(store: Store, group_id: str, targets: Iterable[Target]) -> None:
    """Refuses a target that another group has, in the words of the real API."""
    others = [other for other in store.all(TargetGroup) if other.id != group_id]
    for target in targets:
        for other in others:
            if target in other.targets:
                raise precondition(
                    "One of the targets already a part of the another target group: "
                    f"{target.address}#{target.subnet_id} -> [{other.id}]"
                )


def add_targets(store: Store, group_id: str, targets: Iterable[Target]) -> None:
    """Adds those that are not there yet; refuses one that another group has."""
    group = store.must(TargetGroup, group_id)
    added = [target for target in targets if target not in group.targets]
    check_targets(store, group_id, added)
    group.targets.extend(added)
    store.put(group)


def remove_targets(store: Store, group_id: str, targets: Iterable[Target]) -> None:
    """Removes those that are there."""
    group = store.must(TargetGroup, group_id)
    leaving = list(targets)
    kept = [target for target in group.targets if target not in leaving]
    del group.targets[:]
    group.targets.extend(kept)
    store.put(group)


def drop_targets(store: Store, targets: Collection[Target]) -> None:
    """Takes them out of whatever group has them."""
    for group in store.all(TargetGroup):
        if any(target in group.targets for target in targets):
            remove_targets(store, group.id, targets)


def target_of(instance: Instance) -> Target:
    """An instance as a target: its first interface."""
    nic = instance.network_interfaces[0]
    return Target(subnet_id=nic.subnet_id, address=nic.primary_v4_address.address)


def delete_target_group(store: Store, group_id: str) -> None:
    """Refuses while a balancer sends to it."""
    if used := attached_to(store, group_id):
        raise precondition(f"TargetGroup {group_id} is attached to the load balancer {used[0].id}")
    store.delete(TargetGroup, group_id)
