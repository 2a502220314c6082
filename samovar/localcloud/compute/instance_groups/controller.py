"""Observes each group, asks `decide` what is to be done, and has it done in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from typing import NamedTuple

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup, ManagedInstance
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.compute.instance_groups.decide import decide
from samovar.localcloud.compute.instance_groups.executor import Executor
from samovar.localcloud.compute.instance_groups.group_mapping import COMPUTE, group_value, member_value
from samovar.localcloud.compute.instance_groups.member_disks import MemberDisks
from samovar.localcloud.compute.instance_groups.model import (
    REQUESTED,
    InstanceGroups,
    checks_of,
    members_of,
    record_of,
    target_size,
)
from samovar.localcloud.compute.instance_groups.state import Compute, Group, Member, Observed
from samovar.localcloud.compute.instances.model import Instances
from samovar.localcloud.load_balancer.network_load_balancers.controller import LoadBalancerController, health_check
from samovar.localcloud.load_balancer.target_groups.model import attached_to, target_of
from samovar.localcloud.network.health_checks import Health, Prober, Status, Target
from samovar.localcloud.network.model import Fabric
from samovar.localcloud.operations.model import Goal, failed
from samovar.localcloud.reconcile import in_turn
from samovar.localcloud.store.store import Store

ROUNDS = 20
"""Decisions in a row that one look at a group may lead to; more would be a defect, and must not hold the loop."""
FAILED = frozenset({Compute.ERROR, Compute.DELETING})
"""The states of an instance with which something may have gone wrong."""
ABANDONED = frozenset({InstanceGroup.STOPPING, InstanceGroup.STOPPED, InstanceGroup.DELETING})
"""The states of a group that is not going to settle."""


class Key(NamedTuple):
    """One check of one member's present instance."""

    member_id: str
    instance_id: str
    check: int


@dataclass(frozen=True)
class Traffic:
    """The targets in a group's target group, by subnet and address, and the balancers that send there."""

    targets: frozenset[tuple[str, str]]
    balancer_ids: tuple[str, ...]


class GroupController:
    """The shell around `decide`. Everything that it must remember is in the store."""

    def __init__(
        self,
        store: Store,
        instances: Instances,
        balancers: LoadBalancerController,
        fabric: Fabric,
        wake: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._now = now
        self._instances = instances
        self._disks = MemberDisks(store, instances.disks)
        self._balancers = balancers
        self._wake = wake
        self._prober: Prober[Key] = Prober(fabric.probe, self._on_health)
        self._changes_of_health = 0
        self.has_target_group_by_now: Callable[[InstanceGroup], bool] = bool
        """Returns whether it is time for a new group to have its target group: at once."""
        self._at_rest: tuple[int, int] | None = None

    async def reconcile(self) -> None:
        """Do nothing where all groups are at rest and nothing has changed: then time changes nothing either."""
        version = self._store.revision, self._changes_of_health
        if version == self._at_rest:
            return
        groups = self._store.all(InstanceGroup)
        self._prober.set_targets({key: target for group in groups for key, target in self._probes(group)})
        await in_turn(*(partial(self._reconcile_group, group.id) for group in groups))
        if all(member.status == ManagedInstance.RUNNING_ACTUAL for member in self._store.all(ManagedInstance)):
            self._at_rest = version

    async def close(self) -> None:
        await self._prober.close()

    def outcome(self, goal: Goal, group_id: str) -> Message | None:
        """Return the outcome of an operation that waits for a group."""
        group = self._store.get(InstanceGroup, group_id)
        if group is None:
            return Empty() if goal is Goal.DELETED else failed(f"InstanceGroup {group_id} was deleted")
        if goal is Goal.SETTLED and group.status in ABANDONED:
            return failed(f"InstanceGroup {group_id} is {InstanceGroup.Status.Name(group.status)}")
        reached = {
            Goal.SETTLED: group.status == InstanceGroup.ACTIVE and self._is_settled(group),
            Goal.STOPPED: group.status not in {InstanceGroup.STOPPING, InstanceGroup.DELETING},
        }
        return group if reached.get(goal) else None

    def _is_settled(self, group: InstanceGroup) -> bool:
        """Return whether every member runs, is as the group specifies, and nothing is left to do."""
        members = members_of(self._store, group.id)
        running = [member for member in members if member.status == ManagedInstance.RUNNING_ACTUAL]
        if not len(members) == len(running) == target_size(group):
            return False
        traffic = _traffic(self._store, group.load_balancer_state.target_group_id)
        return not decide(_value(group, traffic), self._members(group, traffic), self._now())

    def _add_target_group(self, group: InstanceGroup) -> None:
        """Make the target group of a group that has none yet, once it is time for it."""
        missing = group.HasField("load_balancer_spec") and not group.load_balancer_state.target_group_id
        if missing and group.status != InstanceGroup.DELETING and self.has_target_group_by_now(group):
            with self._store.transaction():
                target_group = InstanceGroups(self._store).make_target_group(group)
                group.load_balancer_state.target_group_id = target_group.id
                self._store.put(group)

    async def _reconcile_group(self, group_id: str) -> None:
        if (new := self._store.get(InstanceGroup, group_id)) is not None:
            self._add_target_group(new)
        for _ in range(ROUNDS):
            group = self._store.get(InstanceGroup, group_id)
            if group is None:
                return
            traffic = _traffic(self._store, group.load_balancer_state.target_group_id)
            members = self._members(group, traffic)
            actions = decide(_value(group, traffic), members, self._now())
            executor = Executor(self._store, self._instances, self._disks, group, self._now())
            failures = executor.new_failures(member.id for member in members if member.observed.compute in FAILED)
            if not actions and not failures:
                return
            with self._store.transaction():
                executor.report(failures)
                done = executor.execute(actions)
            if not actions or not done:
                return

    def _members(self, group: InstanceGroup, traffic: Traffic) -> tuple[Member, ...]:
        return tuple(self._member(group, managed, traffic) for managed in members_of(self._store, group.id))

    def _member(self, group: InstanceGroup, managed: ManagedInstance, traffic: Traffic) -> Member:
        observed = self._observe(group, managed, traffic)
        requested = self._store.noted(managed.id, REQUESTED)
        return member_value(managed, record_of(self._store, managed.id), requested, observed)

    def _observe(self, group: InstanceGroup, managed: ManagedInstance, traffic: Traffic) -> Observed:
        instance = self._store.get(Instance, managed.instance_id) if managed.instance_id else None
        if instance is None:
            return Observed()
        target = target_of(instance)
        return Observed(
            compute=COMPUTE[instance.status],
            healthy=self._healthy(group, managed),
            target_healthy=all(self._balancers.serves(balancer_id, target) for balancer_id in traffic.balancer_ids),
            registered=(target.subnet_id, target.address) in traffic.targets,
        )

    def _healthy(self, group: InstanceGroup, managed: ManagedInstance) -> bool | None:
        """Return True where all checks pass, False where one fails, None before that is known."""
        results = [
            self._prober.health(Key(managed.id, managed.instance_id, number)).status
            for number, _ in enumerate(checks_of(group))
        ]
        if Status.UNHEALTHY in results:
            return False
        return True if results and all(status is Status.HEALTHY for status in results) else None

    def _probes(self, group: InstanceGroup) -> Iterator[tuple[Key, Target]]:
        for managed in members_of(self._store, group.id):
            instance = self._store.get(Instance, managed.instance_id)
            if instance is not None and instance.status == Instance.RUNNING:
                nic = instance.network_interfaces[0]
                network_id = self._store.must(Subnet, nic.subnet_id).network_id
                address = IPv4Address(nic.primary_v4_address.address)
                for number, check in enumerate(checks_of(group)):
                    yield (
                        Key(managed.id, instance.id, number),
                        Target(network_id, address, health_check(check, "group")),
                    )

    def _on_health(self, _: Key, __: Health) -> None:
        self._changes_of_health += 1
        self._wake()


def _value(group: InstanceGroup, traffic: Traffic) -> Group:
    return group_value(group, opens_traffic=bool(traffic.balancer_ids))


def _traffic(store: Store, target_group_id: str) -> Traffic:
    """Return where a group's traffic comes from; it is looked up once for all members."""
    target_group = store.get(TargetGroup, target_group_id) if target_group_id else None
    if target_group is None:
        return Traffic(frozenset(), ())
    targets = frozenset((target.subnet_id, target.address) for target in target_group.targets)
    return Traffic(targets, tuple(balancer.id for balancer in attached_to(store, target_group_id)))
