"""The RPCs of yandex.cloud.compute.instancegroup. A call stores a specification, and the controller acts on it."""

from __future__ import annotations

from google.protobuf.message import Message
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.constraints import check_constraints
from samovar.localcloud.api.errors import precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.api.unserved import check_served
from samovar.localcloud.compute.instance_groups.model import (
    REQUESTED,
    InstanceGroups,
    fill_counts,
    fill_defaults,
    members_of,
)
from samovar.localcloud.compute.instance_groups.specification_yaml import parse
from samovar.localcloud.compute.instance_groups.state import Goal as MemberGoal
from samovar.localcloud.compute.instance_groups.validate import check_group
from samovar.localcloud.iam.model import check_use
from samovar.localcloud.load_balancer.target_groups.model import attached_to
from samovar.localcloud.operations.model import Goal, Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import copy_masked, fill, masked_paths, stamp
from samovar.localcloud.resources.rpc import WithAccessBindings, WithOperations, page

STOPPED = (InstanceGroup.STOPPING, InstanceGroup.STOPPED)
"""The states in which a group can be changed and started (documentation, instance-groups/statuses)."""


class InstanceGroupService(WithOperations[InstanceGroup], WithAccessBindings[InstanceGroup]):
    """A specification comes as a message or as YAML; both go the same way."""

    answers_with_deltas = False

    def __init__(self, groups: InstanceGroups, operations: Operations) -> None:
        super().__init__(groups, operations)
        self._groups = groups

    def Get(self, request: rpc.GetInstanceGroupRequest, _: Caller) -> InstanceGroup:
        return self._viewed(self.find(request), request.view)

    def List(self, request: rpc.ListInstanceGroupsRequest, _: Caller) -> Message:
        groups = self.resources.in_folder(request.folder_id)
        return page(request, [self._viewed(group, request.view) for group in groups])

    def Create(self, request: rpc.CreateInstanceGroupRequest, caller: Caller) -> Operation:
        self.resources.admit(request.folder_id, request.name)
        group = InstanceGroup(id=self.resources.new_id(), status=InstanceGroup.STARTING)
        fill(group, request)
        self._complete(group, caller)
        if group.HasField("load_balancer_spec") and not self._groups.target_groups_come_late:
            group.load_balancer_state.target_group_id = self._groups.make_target_group(group).id
        stamp(group)
        self.resources.put(group)
        metadata = rpc.CreateInstanceGroupMetadata(instance_group_id=group.id)
        return self.operations.waiting(caller, "Create instance group", metadata, group, Goal.SETTLED)

    def Update(self, request: rpc.UpdateInstanceGroupRequest, caller: Caller) -> Operation:
        """Change a group. One that is stopped takes the change when it starts.

        One that is being deleted takes another service account alone (documentation, instance-groups/statuses).
        """
        group = self._unpaused(request)
        had_balancer = group.HasField("load_balancer_spec")
        paths = masked_paths(request, request.update_mask, self.id_field)
        if group.status == InstanceGroup.DELETING and paths != {"service_account_id"}:
            raise precondition(f"InstanceGroup {group.id} is DELETING: only its service account can be changed")
        for path in paths:
            copy_masked(request, group, path, request.update_mask)
        if had_balancer != group.HasField("load_balancer_spec"):
            raise precondition("load_balancer_spec cannot be added to a group or taken from it")
        self.resources.claim_name(group.folder_id, group.name, group.id)
        self._complete(group, caller)
        metadata = rpc.UpdateInstanceGroupMetadata(instance_group_id=group.id)
        if group.status in (*STOPPED, InstanceGroup.DELETING):
            return self.stored(caller, "Update instance group", metadata, group)
        self.resources.put(group)
        return self.operations.waiting(caller, "Update instance group", metadata, group, Goal.SETTLED)

    def CreateFromYaml(self, request: rpc.CreateInstanceGroupFromYamlRequest, caller: Caller) -> Operation:
        create = parse(request.instance_group_yaml, rpc.CreateInstanceGroupRequest(folder_id=request.folder_id))
        check_constraints(create)
        check_served(create)
        return self.Create(create, caller)

    def UpdateFromYaml(self, request: rpc.UpdateInstanceGroupFromYamlRequest, caller: Caller) -> Operation:
        """Take the YAML for all of the specification: what it leaves out is unset."""
        update = rpc.UpdateInstanceGroupRequest(instance_group_id=request.instance_group_id)
        parse(request.instance_group_yaml, update)
        check_constraints(update)
        check_served(update)
        return self.Update(update, caller)

    def Delete(self, request: rpc.DeleteInstanceGroupRequest, caller: Caller) -> Operation:
        group = self._unpaused(request)
        if group.deletion_protection:
            raise precondition(f"InstanceGroup {group.id} is protected from deletion")
        if balancers := attached_to(self.store, group.load_balancer_state.target_group_id):
            raise precondition(f"The target group of InstanceGroup {group.id} is attached to {balancers[0].id}")
        self._groups.move(group, InstanceGroup.DELETING)
        metadata = rpc.DeleteInstanceGroupMetadata(instance_group_id=group.id)
        return self.operations.waiting(caller, "Delete instance group", metadata, group, Goal.DELETED)

    def Start(self, request: rpc.StartInstanceGroupRequest, caller: Caller) -> Operation:
        group = self.find_with_status(request, *STOPPED)
        self._groups.move(group, InstanceGroup.STARTING)
        metadata = rpc.StartInstanceGroupMetadata(instance_group_id=group.id)
        return self.operations.waiting(caller, "Start instance group", metadata, group, Goal.SETTLED)

    def Stop(self, request: rpc.StopInstanceGroupRequest, caller: Caller) -> Operation:
        group = self.find_with_status(request, InstanceGroup.STARTING, InstanceGroup.ACTIVE)
        self._groups.move(group, InstanceGroup.STOPPING)
        metadata = rpc.StopInstanceGroupMetadata(instance_group_id=group.id)
        return self.operations.waiting(caller, "Stop instance group", metadata, group, Goal.STOPPED)

    def PauseProcesses(self, request: rpc.PauseInstanceGroupProcessesRequest, caller: Caller) -> Operation:
        group = self.find_with_status(request, InstanceGroup.ACTIVE)
        self._groups.move(group, InstanceGroup.PAUSED)
        metadata = rpc.PauseInstanceGroupProcessMetadata(instance_group_id=group.id)
        return self.operations.done(caller, "Pause processes", metadata, self.resources.by_id(group.id))

    def ResumeProcesses(self, request: rpc.ResumeInstanceGroupProcessesRequest, caller: Caller) -> Operation:
        group = self.find_with_status(request, InstanceGroup.PAUSED)
        self._groups.move(group, InstanceGroup.ACTIVE)
        metadata = rpc.ResumeInstanceGroupProcessMetadata(instance_group_id=group.id)
        return self.operations.done(caller, "Resume processes", metadata, self.resources.by_id(group.id))

    def RollingRestart(self, request: rpc.RollingRestartRequest, caller: Caller) -> Operation:
        metadata = rpc.RollingRestartMetadata(instance_group_id=request.instance_group_id)
        return self._request_action(request, caller, MemberGoal.RESTART, metadata)

    def RollingRecreate(self, request: rpc.RollingRecreateRequest, caller: Caller) -> Operation:
        metadata = rpc.RollingRecreateMetadata(instance_group_id=request.instance_group_id)
        return self._request_action(request, caller, MemberGoal.RECREATE, metadata)

    def DeleteInstances(self, request: rpc.DeleteInstancesRequest, caller: Caller) -> Operation:
        """Make the group smaller without `create_another`, by as many members as were not leaving already."""
        group = self.find_with_status(request, InstanceGroup.ACTIVE)
        members = self._groups.members_named(group.id, request.managed_instance_ids)
        staying = [member for member in members if not self._groups.is_leaving(member)]
        for member in staying:
            self.store.note(member.id, REQUESTED, MemberGoal.REMOVE.value)
        if not request.create_another:
            self._groups.shrink(group, len(staying))
        metadata = rpc.DeleteInstancesMetadata(instance_group_id=group.id)
        return self.operations.waiting(caller, "Delete instances", metadata, group, Goal.SETTLED)

    def ListInstances(self, request: rpc.ListInstanceGroupInstancesRequest, _: Caller) -> Message:
        return page(request, members_of(self.store, self.find(request).id))

    def ListLogRecords(self, request: rpc.ListInstanceGroupLogRecordsRequest, _: Caller) -> Message:
        return page(request, self._groups.log_records(self.find(request).id))

    def _unpaused(self, request: object) -> InstanceGroup:
        """Return the group of a request. Of a paused one nothing can be changed (documentation, pause-processes)."""
        group = self.find(request)
        if group.status == InstanceGroup.PAUSED:
            raise precondition(f"InstanceGroup {group.id} is PAUSED: resume its processes first")
        return group

    def _complete(self, group: InstanceGroup, caller: Caller) -> None:
        """Set defaults and refuse what cannot work. Who gives a group an account acts as that account."""
        fill_defaults(group)
        check_group(self.store, group)
        check_use(self.store, caller, [group.service_account_id, group.instance_template.service_account_id])

    def _viewed(self, group: InstanceGroup, view: rpc.InstanceGroupView.ValueType) -> InstanceGroup:
        fill_counts(self.store, group)
        if view != rpc.FULL:
            group.instance_template.ClearField("metadata")
        return group

    def _request_action(
        self,
        request: rpc.RollingRestartRequest | rpc.RollingRecreateRequest,
        caller: Caller,
        goal: MemberGoal,
        metadata: Message,
    ) -> Operation:
        """Request that members, named by their managed instance ids, are restarted or made anew one by one."""
        group = self.find_with_status(request, InstanceGroup.ACTIVE)
        for member in self._groups.members_named(group.id, request.managed_instance_ids):
            self.store.note(member.id, REQUESTED, goal.value)
        return self.operations.waiting(caller, f"Rolling {goal.value}", metadata, group, Goal.SETTLED)


SERVICES = (
    Service(
        rpc,
        "compute",
        lambda context: InstanceGroupService(
            InstanceGroups(context.store, target_groups_come_late=context.target_groups_come_late), context.operations
        ),
        InstanceGroups,
    ),
)
