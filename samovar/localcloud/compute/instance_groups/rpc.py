"""yandex.cloud.compute.instancegroup: a call records what a group is to be; the controller brings it there."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from google.protobuf.message import Message
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import (
    AutoHealingPolicy,
    DeployPolicy,
    HealthCheckSpec,
    InstanceGroup,
    LogRecord,
    ManagedInstance,
)
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.api.pipeline import check as check_request
from samovar.localcloud.compute.instance_groups.specification_yaml import parse
from samovar.localcloud.compute.instance_groups.validate import check_group
from samovar.localcloud.iam.model import check_use
from samovar.localcloud.load_balancer.target_groups.rpc import REGION, attached_to
from samovar.localcloud.operations.model import Goal
from samovar.localcloud.quota_manager.model import check_quota
from samovar.localcloud.resources.model import copy_field, fill, masked_paths, page, stamp
from samovar.localcloud.resources.rpc import BoundService
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store

REQUESTED = "member.requested"
KEPT = "member.kept"
LOG = "group.log"
DEFAULT_INTERVAL, DEFAULT_TIMEOUT, DEFAULT_THRESHOLD = 2, 1, 2
RUNNING = frozenset({ManagedInstance.RUNNING_ACTUAL, ManagedInstance.RUNNING_OUTDATED})
PASSING = (InstanceGroup.STARTING, InstanceGroup.STOPPING, InstanceGroup.DELETING)


class InstanceGroupService(BoundService[InstanceGroup]):
    """A specification comes as a message or as YAML; both go the same way."""

    kind, noun, id_field = InstanceGroup, "InstanceGroup", "instance_group_id"
    answers_with_deltas = False

    def Get(self, request: rpc.GetInstanceGroupRequest, _: Caller) -> InstanceGroup:
        return self._viewed(self.find(request), request.view)

    def List(self, request: rpc.ListInstanceGroupsRequest, _: Caller) -> rpc.ListInstanceGroupsResponse:
        found = [self._viewed(group, request.view) for group in self.store.all(self.kind, scope=request.folder_id)]
        return page(request, rpc.ListInstanceGroupsResponse(), "instance_groups", found)

    def Create(self, request: rpc.CreateInstanceGroupRequest, caller: Caller) -> Operation:
        self.admit(request.folder_id, request.name)
        group = InstanceGroup(id=new_id("instance-group"), status=InstanceGroup.STARTING)
        fill(group, request)
        _fill_defaults(group)
        check_group(self.store, group)
        _check_accounts(self.store, caller, group)
        if group.HasField("load_balancer_spec"):
            group.load_balancer_state.target_group_id = self._make_target_group(group).id
        stamp(group)
        self.store.put(group)
        metadata = rpc.CreateInstanceGroupMetadata(instance_group_id=group.id)
        return self.operations.waiting(caller, "Create instance group", metadata, group, Goal.SETTLED)

    def Update(self, request: rpc.UpdateInstanceGroupRequest, caller: Caller) -> Operation:
        group = self.find(request)
        paths = masked_paths(request, request.update_mask, self.id_field)
        had_balancer = group.HasField("load_balancer_spec")
        for path in paths:
            copy_field(request, group, path)
        if had_balancer != group.HasField("load_balancer_spec"):
            raise precondition("load_balancer_spec cannot be added to a group or taken from it")
        self.claim_name(group.folder_id, group.name, group.id)
        _fill_defaults(group)
        check_group(self.store, group)
        _check_accounts(self.store, caller, group)
        self.store.put(group)
        metadata = rpc.UpdateInstanceGroupMetadata(instance_group_id=group.id)
        return self.operations.waiting(caller, "Update instance group", metadata, group, Goal.SETTLED)

    def CreateFromYaml(self, request: rpc.CreateInstanceGroupFromYamlRequest, caller: Caller) -> Operation:
        whole = parse(request.instance_group_yaml, rpc.CreateInstanceGroupRequest(folder_id=request.folder_id))
        check_request(whole)
        return self.Create(whole, caller)

    def UpdateFromYaml(self, request: rpc.UpdateInstanceGroupFromYamlRequest, caller: Caller) -> Operation:
        """The YAML is the whole specification: what it leaves out is unset."""
        update = rpc.UpdateInstanceGroupRequest(instance_group_id=request.instance_group_id)
        whole = parse(request.instance_group_yaml, update)
        check_request(whole)
        return self.Update(whole, caller)

    def Delete(self, request: rpc.DeleteInstanceGroupRequest, caller: Caller) -> Operation:
        group = self.find(request)
        if group.deletion_protection:
            raise precondition(f"InstanceGroup {group.id} is protected from deletion")
        if used := attached_to(self.store, group.load_balancer_state.target_group_id):
            raise precondition(f"The target group of InstanceGroup {group.id} is attached to {used[0].id}")
        self._move(group, InstanceGroup.DELETING)
        metadata = rpc.DeleteInstanceGroupMetadata(instance_group_id=group.id)
        return self.operations.waiting(caller, "Delete instance group", metadata, group, Goal.GONE)

    def Start(self, request: rpc.StartInstanceGroupRequest, caller: Caller) -> Operation:
        group = self._expect(request, InstanceGroup.STOPPED)
        self._move(group, InstanceGroup.STARTING)
        metadata = rpc.StartInstanceGroupMetadata(instance_group_id=group.id)
        return self.operations.waiting(caller, "Start instance group", metadata, group, Goal.SETTLED)

    def Stop(self, request: rpc.StopInstanceGroupRequest, caller: Caller) -> Operation:
        group = self._expect(request, InstanceGroup.STARTING, InstanceGroup.ACTIVE)
        self._move(group, InstanceGroup.STOPPING)
        metadata = rpc.StopInstanceGroupMetadata(instance_group_id=group.id)
        return self.operations.waiting(caller, "Stop instance group", metadata, group, Goal.STOPPED)

    def PauseProcesses(self, request: rpc.PauseInstanceGroupProcessesRequest, caller: Caller) -> Operation:
        group = self._expect(request, InstanceGroup.ACTIVE)
        self._move(group, InstanceGroup.PAUSED)
        metadata = rpc.PauseInstanceGroupProcessMetadata(instance_group_id=group.id)
        return self.operations.done(caller, "Pause processes", metadata, self.by_id(group.id))

    def ResumeProcesses(self, request: rpc.ResumeInstanceGroupProcessesRequest, caller: Caller) -> Operation:
        group = self._expect(request, InstanceGroup.PAUSED)
        self._move(group, InstanceGroup.ACTIVE)
        metadata = rpc.ResumeInstanceGroupProcessMetadata(instance_group_id=group.id)
        return self.operations.done(caller, "Resume processes", metadata, self.by_id(group.id))

    def RollingRestart(self, request: rpc.RollingRestartRequest, caller: Caller) -> Operation:
        metadata = rpc.RollingRestartMetadata(instance_group_id=request.instance_group_id)
        return self._ask(request, caller, "restart", metadata)

    def RollingRecreate(self, request: rpc.RollingRecreateRequest, caller: Caller) -> Operation:
        metadata = rpc.RollingRecreateMetadata(instance_group_id=request.instance_group_id)
        return self._ask(request, caller, "recreate", metadata)

    def DeleteInstances(self, request: rpc.DeleteInstancesRequest, caller: Caller) -> Operation:
        """Without `create_another` the group gets smaller by as many as were not leaving already."""
        group = self._expect(request, InstanceGroup.ACTIVE)
        members = self._named(group, request.managed_instance_ids)
        going = [member for member in members if self.store.noted(member.id, KEPT, {}).get("goal") != "leave"]
        going = [member for member in going if self.store.noted(member.id, REQUESTED) != "leave"]
        for member in going:
            self.store.note(member.id, REQUESTED, "leave")
        if not request.create_another:
            self._shrink(group, len(going))
        metadata = rpc.DeleteInstancesMetadata(instance_group_id=group.id)
        return self.operations.waiting(caller, "Delete instances", metadata, group, Goal.SETTLED)

    def ListInstances(
        self, request: rpc.ListInstanceGroupInstancesRequest, _: Caller
    ) -> rpc.ListInstanceGroupInstancesResponse:
        found = members_of(self.store, self.find(request).id)
        return page(request, rpc.ListInstanceGroupInstancesResponse(), "instances", found)

    def ListLogRecords(
        self, request: rpc.ListInstanceGroupLogRecordsRequest, _: Caller
    ) -> rpc.ListInstanceGroupLogRecordsResponse:
        found = [_record(seconds, text) for seconds, text in self.store.noted(self.find(request).id, LOG, [])]
        return page(request, rpc.ListInstanceGroupLogRecordsResponse(), "log_records", reversed(found))

    def ListOperations(
        self, request: rpc.ListInstanceGroupOperationsRequest, _: Caller
    ) -> rpc.ListInstanceGroupOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, rpc.ListInstanceGroupOperationsResponse(), "operations", found)

    def _viewed(self, group: InstanceGroup, view: rpc.InstanceGroupView.ValueType) -> InstanceGroup:
        """The counts are not stored: they follow from the members."""
        statuses = [member.status for member in members_of(self.store, group.id)]
        state = group.managed_instances_state
        state.target_size = group.scale_policy.fixed_scale.size
        state.running_actual_count = statuses.count(ManagedInstance.RUNNING_ACTUAL)
        state.running_outdated_count = statuses.count(ManagedInstance.RUNNING_OUTDATED)
        state.processing_count = sum(status not in RUNNING for status in statuses)
        if view != rpc.FULL:
            group.instance_template.ClearField("metadata")
        return group

    def _expect(self, request: object, *statuses: InstanceGroup.Status.ValueType) -> InstanceGroup:
        group = self.find(request)
        if group.status not in statuses:
            raise precondition(f"InstanceGroup {group.id} is {InstanceGroup.Status.Name(group.status)}")
        return group

    def _move(self, group: InstanceGroup, status: InstanceGroup.Status.ValueType) -> None:
        group.status = status
        self.store.put(group)

    def _ask(
        self,
        request: rpc.RollingRestartRequest | rpc.RollingRecreateRequest,
        caller: Caller,
        what: str,
        metadata: Message,
    ) -> Operation:
        """Members named by their managed instance ids are to be restarted or made anew, one after the other."""
        group = self._expect(request, InstanceGroup.ACTIVE)
        for member in self._named(group, request.managed_instance_ids):
            self.store.note(member.id, REQUESTED, what)
        return self.operations.waiting(caller, f"Rolling {what}", metadata, group, Goal.SETTLED)

    def _named(self, group: InstanceGroup, member_ids: Collection[str]) -> list[ManagedInstance]:
        known = {member.id: member for member in members_of(self.store, group.id)}
        for member_id in member_ids:
            if member_id not in known:
                raise not_found("ManagedInstance", member_id)
        return [known[member_id] for member_id in dict.fromkeys(member_ids)]

    def _shrink(self, group: InstanceGroup, by: int) -> None:
        scale = group.scale_policy.fixed_scale
        if scale.size <= by:
            raise precondition(f"InstanceGroup {group.id} keeps at least one machine; create_another replaces them")
        scale.size -= by
        self.store.put(group)

    def _make_target_group(self, group: InstanceGroup) -> TargetGroup:
        check_quota(self.store, TargetGroup)
        spec = group.load_balancer_spec.target_group_spec
        target_group = TargetGroup(
            id=new_id("target-group"),
            folder_id=group.folder_id,
            name=spec.name,
            description=spec.description,
            labels=spec.labels,
            region_id=REGION,
        )
        stamp(target_group)
        self.store.put(target_group)
        return target_group


def members_of(store: Store, group_id: str) -> list[ManagedInstance]:
    """A group's managed instances; they are stored under the group's id."""
    return store.all(ManagedInstance, scope=group_id)


def checks_of(group: InstanceGroup) -> Iterable[HealthCheckSpec]:
    """The group's own health checks; a machine is healthy when all of them pass."""
    return group.health_checks_spec.health_check_specs


def _check_accounts(store: Store, caller: Caller, group: InstanceGroup) -> None:
    """Who gives a group or its machines an account acts as that account."""
    check_use(store, caller, [group.service_account_id, group.instance_template.service_account_id])


def _fill_defaults(group: InstanceGroup) -> None:
    """The documented ones, so that what is read back has no gaps: clients crash where interval or timeout is absent.

    Not so the machines' names: Yandex's own provider plans to take away again a name that its configuration lacks.
    """
    policy, template = group.deploy_policy, group.instance_template
    policy.strategy = policy.strategy or DeployPolicy.PROACTIVE
    policy.minimal_action = policy.minimal_action or DeployPolicy.LIVE_UPDATE
    healing = group.auto_healing_policy
    healing.auto_healing_action = healing.auto_healing_action or AutoHealingPolicy.RESTART
    template.resources_spec.core_fraction = template.resources_spec.core_fraction or 100
    for check in checks_of(group):
        if not check.HasField("interval"):
            check.interval.seconds = DEFAULT_INTERVAL
        if not check.HasField("timeout"):
            check.timeout.seconds = DEFAULT_TIMEOUT
        check.unhealthy_threshold = check.unhealthy_threshold or DEFAULT_THRESHOLD
        check.healthy_threshold = check.healthy_threshold or DEFAULT_THRESHOLD


def _record(seconds: float, text: str) -> LogRecord:
    record = LogRecord(message=text)
    record.timestamp.FromNanoseconds(int(seconds * 1e9))
    return record
