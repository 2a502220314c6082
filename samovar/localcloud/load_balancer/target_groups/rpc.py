"""The RPCs of yandex.cloud.loadbalancer for target groups."""

from __future__ import annotations

from yandex.cloud.loadbalancer.v1 import target_group_service_pb2 as rpc
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.core.constants import REGION
from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.load_balancer.target_groups.model import (
    TargetGroups,
    add_targets,
    check_places,
    check_targets,
    delete_target_group,
    owner_of,
    remove_targets,
)
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, stamp, update
from samovar.localcloud.resources.rpc import WithOperations


class TargetGroupService(WithOperations[TargetGroup]):
    """Targets are addresses; nothing needs to answer there."""

    def Create(self, request: rpc.CreateTargetGroupRequest, caller: Caller) -> Operation:
        self.resources.admit(request.folder_id, request.name)
        group = TargetGroup(id=self.resources.new_id())
        fill(group, request)
        group.region_id = group.region_id or REGION
        check_targets(self.store, group, group.targets)
        check_places(self.store, group.targets)
        stamp(group)
        metadata = rpc.CreateTargetGroupMetadata(target_group_id=group.id)
        return self.stored(caller, "Create target group", metadata, group)

    def Update(self, request: rpc.UpdateTargetGroupRequest, caller: Caller) -> Operation:
        group = self.find(request)
        update(group, request, self.id_field)
        self.resources.claim_name(group.folder_id, group.name, group.id)
        check_targets(self.store, group, group.targets)
        check_places(self.store, group.targets)
        metadata = rpc.UpdateTargetGroupMetadata(target_group_id=group.id)
        return self.stored(caller, "Update target group", metadata, group)

    def Delete(self, request: rpc.DeleteTargetGroupRequest, caller: Caller) -> Operation:
        group = self.find(request)
        if owner := owner_of(self.store, group.id):
            raise precondition(f"TargetGroup {group.id} belongs to the InstanceGroup {owner.id}, and goes with it")
        delete_target_group(self.store, group.id)
        metadata = rpc.DeleteTargetGroupMetadata(target_group_id=group.id)
        return self.operations.deleted(caller, "Delete target group", metadata)

    def AddTargets(self, request: rpc.AddTargetsRequest, caller: Caller) -> Operation:
        group = self.find(request)
        check_places(self.store, [*group.targets, *(each for each in request.targets if each not in group.targets)])
        add_targets(self.store, group.id, request.targets)
        metadata = rpc.AddTargetsMetadata(target_group_id=group.id)
        return self.operations.done(caller, "Add targets", metadata, self.resources.by_id(group.id))

    def RemoveTargets(self, request: rpc.RemoveTargetsRequest, caller: Caller) -> Operation:
        group = self.find(request)
        missing = [target for target in request.targets if target not in group.targets]
        if missing:
            raise not_found("Target", f"{missing[0].address}#{missing[0].subnet_id}")
        remove_targets(self.store, group.id, request.targets)
        metadata = rpc.RemoveTargetsMetadata(target_group_id=group.id)
        return self.operations.done(caller, "Remove targets", metadata, self.resources.by_id(group.id))


SERVICES = (
    Service(
        rpc,
        "load-balancer",
        lambda context: TargetGroupService(TargetGroups(context.store), context.operations),
        TargetGroups,
    ),
)
