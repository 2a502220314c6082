"""Looks at each group, asks `decide` what is to be done, and does it in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from typing import NamedTuple

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import (
    HealthCheckSpec,
    InstanceGroup,
    ManagedInstance,
)
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.compute.disks.rpc import DiskService
from samovar.localcloud.compute.instance_groups import state as model
from samovar.localcloud.compute.instance_groups.decide import decide
from samovar.localcloud.compute.instance_groups.executor import GroupHand
from samovar.localcloud.compute.instance_groups.group_mapping import COMPUTE, Kept, group_value, member_value
from samovar.localcloud.compute.instance_groups.member_disks import GroupDisks
from samovar.localcloud.compute.instance_groups.rpc import KEPT, REQUESTED, checks_of, members_of
from samovar.localcloud.compute.instances.rpc import InstanceService
from samovar.localcloud.load_balancer.network_load_balancers.controller import Balancers
from samovar.localcloud.load_balancer.target_groups.rpc import attached_to, target_of
from samovar.localcloud.network.health_checks import Health, HealthCheck, Prober, Status, Target
from samovar.localcloud.network.model import Fabric
from samovar.localcloud.reconcile import in_turn
from samovar.localcloud.store.store import Store

ROUNDS = 20
"""Decisions in a row that one look at a group may lead to; more would be a defect, and must not hold the loop."""
FAILS = frozenset({model.Compute.ERROR, model.Compute.DELETING})
"""The states of an instance with which something may have gone wrong."""


class Key(NamedTuple):
    """One check of one member's present instance."""

    member_id: str
    instance_id: str
    check: int


@dataclass(frozen=True)
class Traffic:
    """Who is in a group's target group, by subnet and address, and the balancers that send there."""

    targets: frozenset[tuple[str, str]]
    balancer_ids: tuple[str, ...]


class Groups:
    """The group controller's shell. Everything that it must remember is in the store."""

    def __init__(
        self,
        store: Store,
        instances: InstanceService,
        disks: DiskService,
        balancers: Balancers,
        fabric: Fabric,
        wake: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._now = now
        self._instances = instances
        self._disks = GroupDisks(store, disks)
        self._balancers = balancers
        self._wake = wake
        self._prober: Prober[Key] = Prober(fabric.probe, self._on_health)
        self._changes_of_health = 0
        self._at_rest: tuple[int, int] | None = None

    async def step(self) -> None:
        """Nothing, where all groups were at rest and nothing has changed since: then time changes nothing either."""
        seen = self._store.revision, self._changes_of_health
        if seen == self._at_rest:
            return
        groups = self._store.all(InstanceGroup)
        self._prober.set_targets({key: target for group in groups for key, target in self._probes(group)})
        await in_turn(*(partial(self._bring, group.id) for group in groups))
        if all(member.status == ManagedInstance.RUNNING_ACTUAL for member in self._store.all(ManagedInstance)):
            self._at_rest = seen

    async def close(self) -> None:
        await self._prober.close()

    def is_settled(self, group_id: str) -> bool:
        """Every member runs, is what the group wants, and nothing is left to do."""
        group = self._store.must(InstanceGroup, group_id)
        members = members_of(self._store, group_id)
        running = [member for member in members if member.status == ManagedInstance.RUNNING_ACTUAL]
        whole = len(members) == len(running) == group.scale_policy.fixed_scale.size
        if not whole:
            return False
        traffic = _traffic(self._store, group.load_balancer_state.target_group_id)
        return not decide(_value(group, traffic), self._members(group, traffic), self._now())

    async def _bring(self, group_id: str) -> None:
        for _ in range(ROUNDS):
            group = self._store.get(InstanceGroup, group_id)
            if group is None:
                return
            traffic = _traffic(self._store, group.load_balancer_state.target_group_id)
            members = self._members(group, traffic)
            actions = decide(_value(group, traffic), members, self._now())
            hand = GroupHand(self._store, self._instances, self._disks, group, self._now())
            failures = hand.new_failures(member.id for member in members if member.seen.compute in FAILS)
            if not actions and not failures:
                return
            with self._store.transaction():
                hand.report(failures)
                done = hand.carry_out(actions)
            if not actions or not done:
                return

    def _members(self, group: InstanceGroup, traffic: Traffic) -> tuple[model.Member, ...]:
        return tuple(self._member(group, managed, traffic) for managed in members_of(self._store, group.id))

    def _member(self, group: InstanceGroup, managed: ManagedInstance, traffic: Traffic) -> model.Member:
        kept = Kept.parse(self._store.noted(managed.id, KEPT))
        seen = self._seen(group, managed, traffic)
        return member_value(managed, kept, self._store.noted(managed.id, REQUESTED), seen)

    def _seen(self, group: InstanceGroup, managed: ManagedInstance, traffic: Traffic) -> model.Seen:
        instance = self._store.get(Instance, managed.instance_id) if managed.instance_id else None
        if instance is None:
            return model.Seen()
        target = target_of(instance)
        return model.Seen(
            compute=COMPUTE[instance.status],
            healthy=self._healthy(group, managed),
            target_healthy=all(self._balancers.serves(balancer_id, target) for balancer_id in traffic.balancer_ids),
            registered=(target.subnet_id, target.address) in traffic.targets,
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
        self._changes_of_health += 1
        self._wake()


def _value(group: InstanceGroup, traffic: Traffic) -> model.Group:
    return group_value(group, opens_traffic=bool(traffic.balancer_ids))


def _traffic(store: Store, target_group_id: str) -> Traffic:
    """Looked up once for all of a group's members."""
    target_group = store.get(TargetGroup, target_group_id) if target_group_id else None
    if target_group is None:
        return Traffic(frozenset(), ())
    targets = frozenset((target.subnet_id, target.address) for target in target_group.targets)
    return Traffic(targets, tuple(balancer.id for balancer in attached_to(store, target_group_id)))


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
