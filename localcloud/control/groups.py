"""Looks at each group, asks `instancegroups.decide` what is to be done, and does it in one transaction."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable, Iterator
from functools import singledispatchmethod
from ipaddress import IPv4Address
from typing import NamedTuple

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import (
    HealthCheckSpec,
    InstanceGroup,
    ManagedInstance,
    NetworkInterface,
)
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target as ApiTarget
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from localcloud.api.refusal import Refused
from localcloud.control.balancers import Balancers
from localcloud.control.group_template import Place, create_request
from localcloud.control.group_values import COMPUTE, Kept, group_value, member_value, write_member
from localcloud.instancegroups import model
from localcloud.instancegroups.decide import decide
from localcloud.network.health import Health, HealthCheck, Prober, Status, Target
from localcloud.network.spec import Fabric
from localcloud.services.instance import InstanceService
from localcloud.services.instance_group import KEPT, LOG, REQUESTED, checks_of, members_of
from localcloud.services.target_group import add_targets, attached_to, delete_target_group, remove_targets
from localcloud.store.ids import new_id
from localcloud.store.store import Store

LOG_LENGTH = 1000
ROUNDS = 20
"""Decisions in a row that one look at a group may lead to; more would be a defect, and must not hold the loop."""


class Key(NamedTuple):
    """One check of one member's present instance."""

    member_id: str
    instance_id: str
    check: int


class Groups:
    """The group controller's shell. Everything that it must remember is in the store."""

    def __init__(
        self, store: Store, instances: InstanceService, balancers: Balancers, fabric: Fabric, wake: Callable[[], None]
    ) -> None:
        self._store = store
        self._instances = instances
        self._balancers = balancers
        self._wake = wake
        self._prober: Prober[Key] = Prober(fabric.socket_in, self._on_health)

    async def step(self) -> None:
        groups = self._store.all(InstanceGroup)
        self._prober.set_targets({key: target for group in groups for key, target in self._probes(group)})
        for group in groups:
            self._bring(group.id)

    async def close(self) -> None:
        await self._prober.close()

    def is_settled(self, group_id: str) -> bool:
        """Every member runs, is what the group wants, and nothing is left to do."""
        group = self._store.must(InstanceGroup, group_id)
        members = members_of(self._store, group_id)
        running = [member for member in members if member.status == ManagedInstance.RUNNING_ACTUAL]
        whole = len(members) == len(running) == group.scale_policy.fixed_scale.size
        return whole and not self._decide(group)

    def _bring(self, group_id: str) -> None:
        for _ in range(ROUNDS):
            group = self._store.get(InstanceGroup, group_id)
            actions = self._decide(group) if group else ()
            if not actions or group is None:
                return
            with self._store.transaction():
                hand = _Hand(self._store, self._instances, group)
                for action in actions:
                    hand.do(action)

    def _decide(self, group: InstanceGroup) -> tuple[model.Action, ...]:
        target_group_id = group.load_balancer_state.target_group_id
        opens_traffic = bool(target_group_id and attached_to(self._store, target_group_id))
        members = tuple(self._member(group, managed) for managed in members_of(self._store, group.id))
        return decide(group_value(group, opens_traffic=opens_traffic), members, time.time())

    def _member(self, group: InstanceGroup, managed: ManagedInstance) -> model.Member:
        kept = Kept.parse(self._store.noted(managed.id, KEPT))
        return member_value(managed, kept, self._store.noted(managed.id, REQUESTED), self._seen(group, managed))

    def _seen(self, group: InstanceGroup, managed: ManagedInstance) -> model.Seen:
        instance = self._store.get(Instance, managed.instance_id) if managed.instance_id else None
        if instance is None:
            return model.Seen()
        target_group_id = group.load_balancer_state.target_group_id
        target_group = self._store.get(TargetGroup, target_group_id) if target_group_id else None
        target = target_of(instance)
        return model.Seen(
            compute=COMPUTE[instance.status],
            healthy=self._healthy(group, managed),
            target_healthy=self._target_healthy(target_group_id, target) if target_group else None,
            registered=target_group is not None and target in target_group.targets,
        )

    def _healthy(self, group: InstanceGroup, managed: ManagedInstance) -> bool | None:
        """All checks must pass; one that fails is enough."""
        found = [
            self._prober.health(Key(managed.id, managed.instance_id, number)).status
            for number, _ in enumerate(checks_of(group))
        ]
        if Status.UNHEALTHY in found:
            return False
        return True if found and all(status is Status.HEALTHY for status in found) else None

    def _target_healthy(self, target_group_id: str, target: ApiTarget) -> bool:
        return all(
            self._balancers.serves(balancer.id, target) for balancer in attached_to(self._store, target_group_id)
        )

    def _probes(self, group: InstanceGroup) -> Iterator[tuple[Key, Target]]:
        for managed in members_of(self._store, group.id):
            instance = self._store.get(Instance, managed.instance_id)
            if instance is not None and instance.status == Instance.RUNNING:
                nic = instance.network_interfaces[0]
                network_id = self._store.must(Subnet, nic.subnet_id).network_id
                for number, check in enumerate(checks_of(group)):
                    key = Key(managed.id, instance.id, number)
                    yield key, Target(network_id, IPv4Address(nic.primary_v4_address.address), _check(check))

    def _on_health(self, _: Key, __: Health) -> None:
        self._wake()


class _Hand:
    """Does one group's actions, inside the transaction of its caller."""

    def __init__(self, store: Store, instances: InstanceService, group: InstanceGroup) -> None:
        self._store = store
        self._instances = instances
        self._group = group

    @singledispatchmethod
    def do(self, action: object) -> None:
        raise NotImplementedError(type(action))

    @do.register
    def _(self, action: model.CreateMember) -> None:
        member = action.member
        managed = ManagedInstance(id=new_id("managed-instance"))
        short_id = "".join(random.choices(string.ascii_lowercase, k=4))  # noqa: S311 - a name, not a secret
        kept = Kept(member.index, member.index_in_zone, short_id, member.facets)
        self._save(managed, kept, member)

    @do.register
    def _(self, action: model.SaveMember) -> None:
        managed = self._managed(action.member.id)
        self._save(managed, Kept.parse(self._store.noted(managed.id, KEPT)), action.member)
        if action.member.requested is model.Goal.STAY:
            self._store.forget(managed.id, REQUESTED)

    @do.register
    def _(self, action: model.DeleteMember) -> None:
        self._store.delete(ManagedInstance, action.id)

    @do.register
    def _(self, action: model.CreateInstance) -> None:
        """What the cloud refuses is tried again at the next look, and said where an operator sees it."""
        managed = self._managed(action.id)
        kept = Kept.parse(self._store.noted(managed.id, KEPT))
        place = Place(kept.index, kept.index_in_zone, kept.short_id, managed.zone_id, managed.instance_tag)
        zones = {subnet.id: subnet.zone_id for subnet in self._store.all(Subnet)}
        try:
            with self._store.transaction():
                instance = self._instances.make(create_request(self._group, place, zones))
        except Refused as refused:
            managed.status_message = refused.message
        else:
            managed.instance_id, managed.name, managed.fqdn = instance.id, instance.name, instance.fqdn
            managed.status_message = ""
            del managed.network_interfaces[:]
            managed.network_interfaces.extend(_nics(instance))
        self._put(managed)

    @do.register
    def _(self, action: model.StartInstance) -> None:
        self._instances.move(self._managed(action.id).instance_id, Instance.STARTING)

    @do.register
    def _(self, action: model.StopInstance) -> None:
        self._instances.move(self._managed(action.id).instance_id, Instance.STOPPING)

    @do.register
    def _(self, action: model.DeleteInstance) -> None:
        self._instances.move(self._managed(action.id).instance_id, Instance.DELETING)

    @do.register
    def _(self, action: model.UpdateInstance) -> None:
        """Brings the instance to the template in place: its names and labels, and while it is stopped its metadata."""
        managed = self._managed(action.id)
        kept = Kept.parse(self._store.noted(managed.id, KEPT))
        place = Place(kept.index, kept.index_in_zone, kept.short_id, managed.zone_id, managed.instance_tag)
        zones = {subnet.id: subnet.zone_id for subnet in self._store.all(Subnet)}
        self._instances.reshape(managed.instance_id, create_request(self._group, place, zones))

    @do.register
    def _(self, action: model.AddTarget) -> None:
        add_targets(self._store, self._target_group_id, [self._target(action.id)])

    @do.register
    def _(self, action: model.RemoveTarget) -> None:
        remove_targets(self._store, self._target_group_id, [self._target(action.id)])

    @do.register
    def _(self, action: model.SetGroupState) -> None:
        self._group.status = InstanceGroup.Status.Value(action.state.name)
        self._store.put(self._group)

    @do.register
    def _(self, _: model.DeleteGroup) -> None:
        if self._target_group_id:
            delete_target_group(self._store, self._target_group_id)
        self._store.delete(InstanceGroup, self._group.id)

    @do.register
    def _(self, action: model.Log) -> None:
        name = self._managed(action.id).name if action.id else ""
        records = self._store.noted(self._group.id, LOG, [])
        records.append([time.time(), f"{name}: {action.text}" if name else action.text])
        self._store.note(self._group.id, LOG, records[-LOG_LENGTH:])

    @property
    def _target_group_id(self) -> str:
        return self._group.load_balancer_state.target_group_id

    def _managed(self, member_id: str) -> ManagedInstance:
        return self._store.must(ManagedInstance, member_id)

    def _target(self, member_id: str) -> ApiTarget:
        return target_of(self._store.must(Instance, self._managed(member_id).instance_id))

    def _save(self, managed: ManagedInstance, kept: Kept, member: model.Member) -> None:
        kept = write_member(managed, kept, member)
        self._put(managed)
        self._store.note(managed.id, KEPT, kept.plain())

    def _put(self, managed: ManagedInstance) -> None:
        self._store.put(managed, scope=self._group.id)


def target_of(instance: Instance) -> ApiTarget:
    """An instance as a target of a balancer: its first interface."""
    nic = instance.network_interfaces[0]
    return ApiTarget(subnet_id=nic.subnet_id, address=nic.primary_v4_address.address)


def _nics(instance: Instance) -> Iterator[NetworkInterface]:
    """The same interfaces in the words of the group's API, whose messages are alike byte for byte."""
    for nic in instance.network_interfaces:
        yield NetworkInterface.FromString(nic.SerializeToString())


def _check(spec: HealthCheckSpec) -> HealthCheck:
    http = spec.WhichOneof("health_check_options") == "http_options"
    return HealthCheck(
        name="group",
        interval=spec.interval.ToTimedelta().total_seconds(),
        timeout=spec.timeout.ToTimedelta().total_seconds(),
        unhealthy_threshold=spec.unhealthy_threshold,
        healthy_threshold=spec.healthy_threshold,
        port=spec.http_options.port if http else spec.tcp_options.port,
        path=(spec.http_options.path or "/") if http else None,
    )
