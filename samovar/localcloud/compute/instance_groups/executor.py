"""Carries out the actions that `decide` returns, on members, instances and targets in the store."""

from __future__ import annotations

import random
import string
from collections.abc import Iterable, Iterator, Mapping

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instance_service_pb2 import CreateInstanceRequest
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup, ManagedInstance, NetworkInterface
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.constraints import check_constraints
from samovar.localcloud.api.errors import Refused
from samovar.localcloud.compute.instance_groups import actions
from samovar.localcloud.compute.instance_groups.group_mapping import write_member
from samovar.localcloud.compute.instance_groups.instance_request import MemberPlace, create_request
from samovar.localcloud.compute.instance_groups.member_disks import MemberDisks
from samovar.localcloud.compute.instance_groups.model import (
    FAILURE,
    RECORD,
    REQUESTED,
    MemberRecord,
    add_log_record,
    new_member_id,
    record_of,
)
from samovar.localcloud.compute.instance_groups.state import RUNNING, Goal, GroupState, Member
from samovar.localcloud.compute.instance_groups.validate import (
    MACHINE_ROLE,
    TARGET_ROLE,
    check_image_rights,
    check_rights,
    roles_for_new_machine,
)
from samovar.localcloud.compute.instances.hostnames import check_hostname
from samovar.localcloud.compute.instances.model import Instances
from samovar.localcloud.load_balancer.target_groups.model import (
    add_targets,
    delete_target_group,
    remove_targets,
    target_of,
)
from samovar.localcloud.operations.model import FAILURE_REASON
from samovar.localcloud.store.store import Store

ExternalAction = (
    actions.CreateInstance
    | actions.StartInstance
    | actions.StopInstance
    | actions.DeleteInstance
    | actions.UpdateInstance
    | actions.AddTarget
    | actions.RemoveTarget
)
"""Actions that have an effect outside of the group's own records."""


class Executor:
    """The executor does one group's actions, inside the transaction of its caller."""

    def __init__(
        self, store: Store, instances: Instances, disks: MemberDisks, group: InstanceGroup, now: float
    ) -> None:
        self._store = store
        self._instances = instances
        self._disks = disks
        self._group = group
        self._now = now

    def execute(self, decided: Iterable[actions.Action]) -> bool:
        """Return False where an action was refused: the member shows why, and the rest waits for the next look."""
        for action in decided:
            try:
                with self._store.transaction():
                    check_rights(self._store, self._group, self._required_roles(action))
                    self._do(action)
            except Refused as refused:
                self._show_result(action, refused.message)
                return False
            self._show_result(action, "")
        return True

    def new_failures(self, member_ids: Iterable[str]) -> dict[str, str]:
        """Return what went wrong with the instances of these members, where that was not reported yet."""
        reasons = {member_id: self._failure(member_id) for member_id in member_ids}
        return {
            member_id: reason
            for member_id, reason in reasons.items()
            if reason and reason != self._store.noted(member_id, FAILURE)
        }

    def _failure(self, member_id: str) -> str:
        return str(self._store.noted(self._managed(member_id).instance_id, FAILURE_REASON, ""))

    def report(self, failures: Mapping[str, str]) -> None:
        """Show in a member's status what went wrong with it until it serves, whatever is tried meanwhile."""
        for member_id, reason in failures.items():
            self._store.note(member_id, FAILURE, reason)
            self._show_message(self._managed(member_id), reason)

    def _required_roles(self, action: actions.Action) -> Iterator[str]:
        match action:
            case actions.CreateInstance():
                yield from roles_for_new_machine(self._group)
            case actions.AddTarget() | actions.RemoveTarget():
                yield TARGET_ROLE
            case actions.StartInstance() | actions.StopInstance() | actions.DeleteInstance() | actions.UpdateInstance():
                yield MACHINE_ROLE

    def _show_result(self, action: actions.Action, refusal: str) -> None:
        managed = self._store.get(ManagedInstance, action.id) if isinstance(action, ExternalAction) else None
        if managed:
            self._show_message(managed, refusal or self._store.noted(managed.id, FAILURE, ""))

    def _show_message(self, managed: ManagedInstance, message: str) -> None:
        """Set the message of a member's status; a message that lasts is logged once."""
        if managed.status_message != message:
            managed.status_message = message
            self._put(managed)
            if message:
                self._log(managed.id, message)

    def _do(self, action: actions.Action) -> None:  # noqa: C901, PLR0912 - one line for each kind of action
        match action:
            case actions.CreateMember(member):
                self._create_member(member)
            case actions.SaveMember(member):
                self._save_member(member)
            case actions.DeleteMember(member_id):
                self._disks.drop(member_id)
                self._store.delete(ManagedInstance, member_id)
            case actions.CreateInstance(member_id):
                self._create_instance(self._managed(member_id))
            case actions.StartInstance(member_id):
                self._move_instance(member_id, Instance.STARTING)
                self._show_addresses(self._managed(member_id))
            case actions.StopInstance(member_id):
                self._move_instance(member_id, Instance.STOPPING)
            case actions.DeleteInstance(member_id):
                self._move_instance(member_id, Instance.DELETING)
            case actions.UpdateInstance(member_id):
                self._update_instance(self._managed(member_id))
            case actions.AddTarget(member_id):
                add_targets(self._store, self._target_group_id, [self._target(member_id)])
            case actions.RemoveTarget(member_id):
                remove_targets(self._store, self._target_group_id, [self._target(member_id)])
            case actions.SetGroupState(state):
                self._set_state(state)
            case actions.DeleteGroup():
                self._delete_group()
            case actions.Log(member_id, text):
                self._log(member_id, text)

    def _create_member(self, member: Member) -> None:
        managed = ManagedInstance(id=new_member_id())
        short_id = "".join(random.choices(string.ascii_lowercase, k=4))  # noqa: S311 - a name, not a secret
        self._save(managed, MemberRecord(member.index, member.index_in_zone, short_id, member.template), member)

    def _save_member(self, member: Member) -> None:
        managed = self._managed(member.id)
        self._save(managed, record_of(self._store, managed.id), member)
        if member.requested is Goal.STAY:
            self._store.forget(managed.id, REQUESTED)

    def _create_instance(self, managed: ManagedInstance) -> None:
        """Make an instance. Raises Refused where the cloud does; that is tried again, ever less often."""
        check_image_rights(self._store, self._group)
        request = self._request(managed)
        names = [spec.name for spec in self._group.instance_template.secondary_disk_specs]
        self._disks.fill(request, managed.id, names)
        instance = self._instances.make(request)
        managed.instance_id, managed.name, managed.fqdn = instance.id, instance.name, instance.fqdn
        self._show_addresses(managed)

    def _show_addresses(self, managed: ManagedInstance) -> None:
        """Show the interfaces of a member's instance: a public address changes when it is stopped and started."""
        del managed.network_interfaces[:]
        managed.network_interfaces.extend(_nics(self._store.must(Instance, managed.instance_id)))
        self._put(managed)

    def _move_instance(self, member_id: str, status: Instance.Status.ValueType) -> None:
        self._instances.move(self._managed(member_id).instance_id, status)

    def _update_instance(self, managed: ManagedInstance) -> None:
        """Bring the instance to the template in place: its names and labels, and while it is stopped its metadata."""
        self._instances.reshape(managed.instance_id, self._request(managed))

    def _set_state(self, state: GroupState) -> None:
        self._group.status = InstanceGroup.Status.Value(state.name)
        self._store.put(self._group)

    def _delete_group(self) -> None:
        if self._target_group_id:
            delete_target_group(self._store, self._target_group_id)
        self._store.delete(InstanceGroup, self._group.id)

    def _log(self, member_id: str, text: str) -> None:
        name = self._managed(member_id).name if member_id else ""
        add_log_record(self._store, self._group.id, self._now, f"{name}: {text}" if name else text)

    @property
    def _target_group_id(self) -> str:
        return self._group.load_balancer_state.target_group_id

    def _request(self, managed: ManagedInstance) -> CreateInstanceRequest:
        """Return the request for a member's instance. Raises Refused where a variable brought what it must not hold.

        A hostname may have a dot here, which the request's own constraint does not allow; so it is checked apart.
        """
        record = record_of(self._store, managed.id)
        place = MemberPlace(record.index, record.index_in_zone, record.short_id, managed.zone_id, managed.instance_tag)
        zones = {subnet.id: subnet.zone_id for subnet in self._store.all(Subnet)}
        request = create_request(self._group, place, zones)
        check_hostname(request.hostname)
        checked = CreateInstanceRequest()
        checked.CopyFrom(request)
        checked.hostname = ""
        check_constraints(checked)
        return request

    def _managed(self, member_id: str) -> ManagedInstance:
        return self._store.must(ManagedInstance, member_id)

    def _target(self, member_id: str) -> Target:
        return target_of(self._store.must(Instance, self._managed(member_id).instance_id))

    def _save(self, managed: ManagedInstance, record: MemberRecord, member: Member) -> None:
        record = write_member(managed, record, member)
        failure = self._store.noted(managed.id, FAILURE)
        if failure and member.status in RUNNING:
            self._store.forget(managed.id, FAILURE)
            managed.status_message = ""
        self._put(managed)
        self._store.note(managed.id, RECORD, record.note())

    def _put(self, managed: ManagedInstance) -> None:
        self._store.put(managed, scope=self._group.id)


def _nics(instance: Instance) -> Iterator[NetworkInterface]:
    """Yield the same interfaces as messages of the group's API, which are alike byte for byte."""
    for nic in instance.network_interfaces:
        yield NetworkInterface.FromString(nic.SerializeToString())
