"""The hand of the group controller: carries out what was decided, on members, instances and targets in the store."""

from __future__ import annotations

import random
import string
from collections.abc import Iterable, Iterator, Mapping
from functools import singledispatchmethod

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instance_service_pb2 import CreateInstanceRequest
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup, ManagedInstance, NetworkInterface
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target as ApiTarget
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.api.pipeline import check
from samovar.localcloud.compute.instance_groups import state as model
from samovar.localcloud.compute.instance_groups.group_mapping import Kept, write_member
from samovar.localcloud.compute.instance_groups.instance_request import Place, create_request
from samovar.localcloud.compute.instance_groups.member_disks import GroupDisks
from samovar.localcloud.compute.instance_groups.rights import MACHINES, TARGETS, check_rights, for_new_machines
from samovar.localcloud.compute.instance_groups.rpc import KEPT, LOG, REQUESTED
from samovar.localcloud.compute.instance_groups.statuses import RUNNING
from samovar.localcloud.compute.instances.hostnames import check_hostname
from samovar.localcloud.compute.instances.rpc import InstanceService
from samovar.localcloud.load_balancer.target_groups.rpc import (
    add_targets,
    delete_target_group,
    remove_targets,
    target_of,
)
from samovar.localcloud.operations.controller import REASON
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store

LOG_LENGTH = 1000
FAILURE = "member.failure"
"""A note: what went wrong with a member's instances since it last served."""


Touch = (
    model.CreateInstance
    | model.StartInstance
    | model.StopInstance
    | model.DeleteInstance
    | model.UpdateInstance
    | model.AddTarget
    | model.RemoveTarget
)
"""Actions that have an effect outside of the group's own records."""


class GroupHand:
    """Does one group's actions, inside the transaction of its caller."""

    def __init__(
        self, store: Store, instances: InstanceService, disks: GroupDisks, group: InstanceGroup, now: float
    ) -> None:
        self._store = store
        self._instances = instances
        self._disks = disks
        self._group = group
        self._now = now

    def carry_out(self, actions: Iterable[model.Action]) -> bool:
        """False where one was refused: that is said where an operator sees it, and the rest waits for the next look."""
        for action in actions:
            try:
                with self._store.transaction():
                    check_rights(self._store, self._group, self._takes(action))
                    self._do(action)
            except Refused as refused:
                self._say(action, refused.message)
                return False
            self._say(action, "")
        return True

    def new_failures(self, member_ids: Iterable[str]) -> dict[str, str]:
        """What went wrong with the instances of these members, where that was not reported yet."""
        found = {member_id: self._failure(member_id) for member_id in member_ids}
        return {
            member_id: reason
            for member_id, reason in found.items()
            if reason and reason != self._store.noted(member_id, FAILURE)
        }

    def _failure(self, member_id: str) -> str:
        return str(self._store.noted(self._managed(member_id).instance_id, REASON, ""))

    def report(self, failures: Mapping[str, str]) -> None:
        """A member tells what went wrong with it until it serves, whatever is tried meanwhile."""
        for member_id, reason in failures.items():
            self._store.note(member_id, FAILURE, reason)
            self._tell(self._managed(member_id), reason)

    def _takes(self, action: model.Action) -> Iterator[str]:
        """The roles that an action needs."""
        match action:
            case model.CreateInstance():
                yield from for_new_machines(self._group)
            case model.AddTarget() | model.RemoveTarget():
                yield TARGETS
            case model.StartInstance() | model.StopInstance() | model.DeleteInstance() | model.UpdateInstance():
                yield MACHINES

    def _say(self, action: model.Action, trouble: str) -> None:
        managed = self._store.get(ManagedInstance, action.id) if isinstance(action, Touch) else None
        if managed:
            self._tell(managed, trouble or self._store.noted(managed.id, FAILURE, ""))

    def _tell(self, managed: ManagedInstance, trouble: str) -> None:
        """A trouble that lasts is told once."""
        if managed.status_message != trouble:
            managed.status_message = trouble
            self._put(managed)
            if trouble:
                self._do(model.Log(managed.id, trouble))

    @singledispatchmethod
    def _do(self, action: object) -> None:
        raise NotImplementedError(type(action))

    @_do.register
    def _(self, action: model.CreateMember) -> None:
        member = action.member
        managed = ManagedInstance(id=new_id("managed-instance"))
        short_id = "".join(random.choices(string.ascii_lowercase, k=4))  # noqa: S311 - a name, not a secret
        kept = Kept(member.index, member.index_in_zone, short_id, member.facets)
        self._save(managed, kept, member)

    @_do.register
    def _(self, action: model.SaveMember) -> None:
        managed = self._managed(action.member.id)
        self._save(managed, Kept.parse(self._store.noted(managed.id, KEPT)), action.member)
        if action.member.requested is model.Goal.STAY:
            self._store.forget(managed.id, REQUESTED)

    @_do.register
    def _(self, action: model.DeleteMember) -> None:
        self._disks.drop(action.id)
        self._store.delete(ManagedInstance, action.id)

    @_do.register
    def _(self, action: model.CreateInstance) -> None:
        """What the cloud refuses is tried again, ever less often."""
        managed = self._managed(action.id)
        request = self._request(managed)
        self._disks.fill(request, managed.id)
        instance = self._instances.make(request)
        managed.instance_id, managed.name, managed.fqdn = instance.id, instance.name, instance.fqdn
        del managed.network_interfaces[:]
        managed.network_interfaces.extend(_nics(instance))
        self._put(managed)

    @_do.register
    def _(self, action: model.StartInstance) -> None:
        self._instances.move(self._managed(action.id).instance_id, Instance.STARTING)

    @_do.register
    def _(self, action: model.StopInstance) -> None:
        self._instances.move(self._managed(action.id).instance_id, Instance.STOPPING)

    @_do.register
    def _(self, action: model.DeleteInstance) -> None:
        self._instances.move(self._managed(action.id).instance_id, Instance.DELETING)

    @_do.register
    def _(self, action: model.UpdateInstance) -> None:
        """Brings the instance to the template in place: its names and labels, and while it is stopped its metadata."""
        managed = self._managed(action.id)
        self._instances.reshape(managed.instance_id, self._request(managed))

    @_do.register
    def _(self, action: model.AddTarget) -> None:
        add_targets(self._store, self._target_group_id, [self._target(action.id)])

    @_do.register
    def _(self, action: model.RemoveTarget) -> None:
        remove_targets(self._store, self._target_group_id, [self._target(action.id)])

    @_do.register
    def _(self, action: model.SetGroupState) -> None:
        self._group.status = InstanceGroup.Status.Value(action.state.name)
        self._store.put(self._group)

    @_do.register
    def _(self, _: model.DeleteGroup) -> None:
        if self._target_group_id:
            delete_target_group(self._store, self._target_group_id)
        self._store.delete(InstanceGroup, self._group.id)

    @_do.register
    def _(self, action: model.Log) -> None:
        name = self._managed(action.id).name if action.id else ""
        records = self._store.noted(self._group.id, LOG, [])
        records.append([self._now, f"{name}: {action.text}" if name else action.text])
        self._store.note(self._group.id, LOG, records[-LOG_LENGTH:])

    @property
    def _target_group_id(self) -> str:
        return self._group.load_balancer_state.target_group_id

    def _request(self, managed: ManagedInstance) -> CreateInstanceRequest:
        """Variables can hold what a request must not: so it is checked once they are filled in. Raises Refused."""
        kept = Kept.parse(self._store.noted(managed.id, KEPT))
        place = Place(kept.index, kept.index_in_zone, kept.short_id, managed.zone_id, managed.instance_tag)
        zones = {subnet.id: subnet.zone_id for subnet in self._store.all(Subnet)}
        request = create_request(self._group, place, zones)
        check_hostname(request.hostname)  # may have a dot here, which the request's own constraint does not allow
        checked = CreateInstanceRequest()
        checked.CopyFrom(request)
        checked.hostname = ""
        check(checked)
        return request

    def _managed(self, member_id: str) -> ManagedInstance:
        return self._store.must(ManagedInstance, member_id)

    def _target(self, member_id: str) -> ApiTarget:
        return target_of(self._store.must(Instance, self._managed(member_id).instance_id))

    def _save(self, managed: ManagedInstance, kept: Kept, member: model.Member) -> None:
        kept = write_member(managed, kept, member)
        if member.status in RUNNING and self._store.noted(managed.id, FAILURE):
            self._store.forget(managed.id, FAILURE)
            managed.status_message = ""
        self._put(managed)
        self._store.note(managed.id, KEPT, kept.plain())

    def _put(self, managed: ManagedInstance) -> None:
        self._store.put(managed, scope=self._group.id)


def _nics(instance: Instance) -> Iterator[NetworkInterface]:
    """The same interfaces in the words of the group's API, whose messages are alike byte for byte."""
    for nic in instance.network_interfaces:
        yield NetworkInterface.FromString(nic.SerializeToString())
