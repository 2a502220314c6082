"""What an environment shall have: a pure function of its file and of the names of its images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network

from cloudinit.render import instance_metadata
from envs.model import BalancerType, Environment, Group
from groups.spec import (
    Address,
    Balancer,
    Desired,
    HealthCheck,
    InstanceGroup,
    Listener,
    Network,
    Resource,
    ServiceAccount,
    Subnet,
    Template,
)
from kit.errors import ConfigError

SUBNET_BITS = 3
"""Each zone's subnet is an eighth of the network's range, by the zone's letter: zones come and go, the others stay."""


def desired(environment: Environment, images: Mapping[str, str]) -> Desired:
    """`images` gives the full name (`samovar-nginx-<12 hex>`) of each image that a group is made from."""
    groups = [resource for group in environment.groups for resource in _group(environment, group, images[group.image])]
    return Desired(environment.name, (*_ground(environment), *groups))


def account_name(environment: str) -> str:
    """The account by which the environment's groups make machines."""
    return f"{environment}-groups"


def subnet_name(environment: str, zone: str) -> str:
    """One subnet a zone."""
    return f"{environment}-{zone}"


def group_name(environment: str, group: str) -> str:
    """A group's name in the cloud, and that of its balancer, address and target group."""
    return f"{environment}-{group}"


def subnet_cidr(network: IPv4Network, zone: str) -> IPv4Network:
    """A zone's part of the network's range."""
    return [*network.subnets(prefixlen_diff=SUBNET_BITS)][ord(zone[-1]) - ord("a")]


def _ground(environment: Environment) -> Iterator[Resource]:
    name = environment.name
    yield Resource(name, Network())
    yield Resource(account_name(name), ServiceAccount())
    for zone in environment.zones:
        subnet = Subnet(network=name, zone=zone, cidr=str(subnet_cidr(environment.cidr, zone)))
        yield Resource(subnet_name(name, zone), subnet)


def _group(environment: Environment, group: Group, image: str) -> Iterator[Resource]:
    name = group_name(environment.name, group.name)
    check = HealthCheck(group.health.port, group.health.path)
    yield Resource(name, _instance_group(environment, group, image, check), group.name)
    if group.balancer is None:
        return
    if group.balancer.type is BalancerType.INTERNAL:
        raise ConfigError(
            f"group {group.name} of {environment.name}: internal balancers are not made yet",
            remedy="use type: external",
        )
    listeners = tuple(Listener(scheme, port, port) for scheme, port in sorted(group.balancer.listeners.items()))
    yield Resource(name, Address(zone=environment.zones[0]), group.name)
    yield Resource(name, Balancer(address=name, listeners=listeners, group=name, check=check), group.name)


def _instance_group(environment: Environment, group: Group, image: str, check: HealthCheck) -> InstanceGroup:
    name = group_name(environment.name, group.name)
    template = Template(
        name=f"{name}-{{instance.index}}",
        hostname=f"{group.name}-{{instance.index}}",
        image=image,
        network=environment.name,
        subnets=tuple(sorted(subnet_name(environment.name, zone) for zone in environment.zones)),
        cores=group.machine.cores,
        core_fraction=group.machine.core_fraction,
        memory=group.machine.memory,
        disk=group.machine.disk,
        metadata=tuple(sorted(instance_metadata(group.image, group.settings).items())),
        public=group.public,
    )
    return InstanceGroup(
        size=group.size,
        zones=tuple(sorted(environment.zones)),
        template=template,
        check=check,
        service_account=account_name(environment.name),
        balanced=group.balancer is not None,
    )
