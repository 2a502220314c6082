"""Target groups in the store. A network interface is in one target group at most."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import NetworkLoadBalancer
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target, TargetGroup
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import invalid, precondition
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository, require
from samovar.localcloud.store.store import Store

MOST_TARGETS = 254


class TargetGroups(Repository[TargetGroup]):
    """The target groups of users and of instance groups."""

    kind, id_prefix = TargetGroup, "enp"
    count_quota = Quota("ylb.targetGroups.count", TargetGroup, 100)


def attached_to(store: Store, target_group_id: str) -> list[NetworkLoadBalancer]:
    """Return the balancers that send to a target group."""
    return [
        balancer
        for balancer in store.all(NetworkLoadBalancer)
        if any(attached.target_group_id == target_group_id for attached in balancer.attached_target_groups)
    ]


def owner_of(store: Store, target_group_id: str) -> InstanceGroup | None:
    """Return the instance group that made a target group, which keeps its machines there; None for a user's own."""
    groups = store.all(InstanceGroup)
    return next((each for each in groups if each.load_balancer_state.target_group_id == target_group_id), None)


def check_targets(store: Store, group: TargetGroup, targets: Iterable[Target]) -> None:
    """Refuse new targets of a group that are no address of their subnet, or that another group has.

    The latter is refused in the real API's words.
    """
    others = [other for other in store.all(TargetGroup) if other.id != group.id]
    for target in targets:
        _check_address(store, target)
        for other in others:
            if target in other.targets:
                raise precondition(
                    "One of the targets already a part of the another target group: "
                    f"{target.address}#{target.subnet_id} -> [{other.id}]"
                )


def check_places(store: Store, targets: Sequence[Target]) -> None:
    """Refuse the targets of a group that are too many, of several networks, or in several subnets of a zone.

    Source: documentation, network-load-balancer/concepts/target-resources and limits. That an instance group may have
    targets in both subnets while its machines move from one to another is assumed.
    """
    if len(targets) > MOST_TARGETS:
        raise invalid(f"a target group has at most {MOST_TARGETS} targets", "targets")
    subnets = [subnet for each in {target.subnet_id for target in targets} if (subnet := store.get(Subnet, each))]
    if len({subnet.network_id for subnet in subnets}) > 1:
        raise invalid("the targets of a group are in one network", "targets")
    if len({subnet.zone_id for subnet in subnets}) < len(subnets):
        raise invalid("the targets of a group are in one subnet of each zone", "targets")


def _check_address(store: Store, target: Target) -> None:
    subnet = require(store, Subnet, target.subnet_id)
    try:
        address = IPv4Address(target.address)
    except AddressValueError as error:
        raise invalid(f"{target.address!r} is not an IPv4 address", "address") from error
    if not any(address in IPv4Network(cidr) for cidr in subnet.v4_cidr_blocks):
        raise invalid(f"{address} is no address of subnet {subnet.id}", "address")


def add_targets(store: Store, group_id: str, targets: Iterable[Target]) -> None:
    """Add those that are not there yet; refuse one that another group has."""
    group = store.must(TargetGroup, group_id)
    added = [target for target in targets if target not in group.targets]
    check_targets(store, group, added)
    group.targets.extend(added)
    store.put(group)


def remove_targets(store: Store, group_id: str, targets: Iterable[Target]) -> None:
    """Remove those that are there."""
    group = store.must(TargetGroup, group_id)
    leaving = list(targets)
    kept = [target for target in group.targets if target not in leaving]
    del group.targets[:]
    group.targets.extend(kept)
    store.put(group)


def drop_targets(store: Store, targets: Collection[Target]) -> None:
    """Take them out of whatever group has them."""
    for group in store.all(TargetGroup):
        if any(target in group.targets for target in targets):
            remove_targets(store, group.id, targets)


def target_of(instance: Instance) -> Target:
    """Return an instance as a target: its first interface."""
    nic = instance.network_interfaces[0]
    return Target(subnet_id=nic.subnet_id, address=nic.primary_v4_address.address)


def delete_target_group(store: Store, group_id: str) -> None:
    """Refuse while a balancer sends to it."""
    if used := attached_to(store, group_id):
        raise precondition(f"TargetGroup {group_id} is attached to the load balancer {used[0].id}")
    store.delete(TargetGroup, group_id)
