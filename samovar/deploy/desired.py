"""What an environment shall have: a pure function of its file and of the names of its images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from samovar.cloudinit.metadata import Api, instance_metadata
from samovar.deploy.collisions import check_distinct
from samovar.deploy.desired_network import ground
from samovar.deploy.foundation_specs import Address, DataRecord, Disk, InternalAddress, SecurityGroup, ServiceAccount
from samovar.deploy.names import account_name, disk_name, group_name, record_name, secret_name, subnet_name
from samovar.deploy.placeholders import mentioned, token
from samovar.deploy.security_rules import asks_lockbox, is_edge, rules
from samovar.deploy.specs import (
    Balancer,
    Deploy,
    Desired,
    HealthCheck,
    InstanceGroup,
    Kind,
    Listener,
    Protectable,
    Ref,
    Resource,
    Template,
)
from samovar.project.environment import Balancer as BalancerOfGroup
from samovar.project.environment import BalancerType, Environment, Group

PEERS = 8
"""Peers are counted in steps of so many: a group that grows by one is no reason to replace those who ask it."""
SEEDED = "seeded"
"""The secret by which a group with a data disk is told whether the disk got its rows."""
ONE_DISK = Deploy(max_unavailable=1, max_expansion=0)
"""A disk is attached to one machine: the old one goes before the new one comes."""


def desired(environment: Environment, images: Mapping[str, str], api: Api | None = None) -> Desired:
    """`images` gives the full name (`samovar-nginx-<12 hex>`) of each image that a group is made from.

    `api` is where machines find the cloud, where they do not know it by themselves.
    Raises ConfigError where two resources would have one name.
    """
    groups = [
        resource for group in environment.groups for resource in _group(environment, group, images[group.image], api)
    ]
    resources = (*ground(environment), *groups)
    check_distinct(resources)
    protected = (_protected(each, on=environment.deletion_protection) for each in resources)
    return Desired(environment.name, tuple(protected))


def _protected(resource: Resource, *, on: bool) -> Resource:
    """The resource with the environment's `deletion_protection`, where its kind has one."""
    if not isinstance(resource.spec, Protectable):
        return resource
    return replace(resource, spec=replace(resource.spec, deletion_protection=on))


def metadata(environment: Environment, group: Group, api: Api | None = None) -> dict[str, str]:
    """What the group's machines are born with; tokens stand for ids and addresses."""
    secrets = {name: token(Ref(Kind.SECRET, secret_name(environment.name, name))) for name in group.secrets}
    if group.data_disk:
        secrets[SEEDED] = token(Ref(Kind.RECORD, record_name(environment.name, group.name)))
    peers = {group.name: _most(group)} if is_edge(group) and group.ports else {}
    settings: dict[str, Any] = dict(group.settings)
    if group.upstream:
        asked = environment.group(group.upstream)
        peers[asked.name] = _most(asked)
        if asked.balancer and asked.balancer.type is BalancerType.INTERNAL:
            settings.setdefault("upstream", _where(environment, asked, asked.balancer))
    keys = environment.operator.ssh_keys if environment.operator else ()
    return instance_metadata(
        group.image,
        settings,
        api if secrets else None,
        peers=peers,
        secrets=secrets,
        operator_keys=keys,
        template=environment.user_data,
    )


def _most(group: Group) -> int:
    """How many machines the group can have without those who ask it being told anew."""
    return (group.size // PEERS + 1) * PEERS


def _where(environment: Environment, asked: Group, balancer: BalancerOfGroup) -> str:
    address = token(Ref(Kind.INTERNAL_ADDRESS, group_name(environment.name, asked.name)))
    return f"{address}:{min(balancer.listeners.values())}"


def _group(environment: Environment, group: Group, image: str, api: Api | None) -> Iterator[Resource]:
    name = group_name(environment.name, group.name)
    own = SecurityGroup(network=environment.name, rules=rules(environment, group))
    yield Resource(name, own, group.name)
    if asks_lockbox(group):
        yield Resource(name, ServiceAccount(), group.name)
    if group.data_disk:
        disk = disk_name(environment.name, group.name)
        record = DataRecord(readers=(name,), disk=disk)
        yield Resource(disk, Disk(group.data_disk.size, group.data_disk.type, environment.zones[0]), group.name)
        yield Resource(record_name(environment.name, group.name), record, group.name)
    yield Resource(name, _instance_group(environment, group, image, api), group.name)
    if group.balancer:
        yield from _balancer(environment, group, group.balancer)


def _balancer(environment: Environment, group: Group, balancer: BalancerOfGroup) -> Iterator[Resource]:
    name, zone = group_name(environment.name, group.name), environment.zones[0]
    subnet = subnet_name(environment.name, zone, public=group.public)
    internal = balancer.type is BalancerType.INTERNAL
    listeners = tuple(Listener(scheme, port, port) for scheme, port in sorted(balancer.listeners.items()))
    check = HealthCheck(balancer.health.port, balancer.health.path)
    yield Resource(name, InternalAddress(subnet) if internal else Address(zone), group.name)
    yield Resource(name, Balancer(name, listeners, name, check, subnet if internal else ""), group.name)


def _health(group: Group) -> HealthCheck:
    """When a group gives a machine up that runs: after 10 s, one with data after 30 s.

    A machine that is merely busy must not be made anew, and one that died is known by its status before any check.
    """
    check = HealthCheck(group.health.port, group.health.path, unhealthy=5)
    return replace(check, interval=3, timeout=2, unhealthy=10) if group.data_disk else check


def _instance_group(environment: Environment, group: Group, image: str, api: Api | None) -> InstanceGroup:
    zones = environment.zones[:1] if group.data_disk else environment.zones
    return InstanceGroup(
        size=group.size,
        zones=tuple(sorted(zones)),
        template=_template(environment, group, image, zones, api),
        check=_health(group),
        service_account=account_name(environment.name),
        balanced=group.balancer is not None,
        deploy=ONE_DISK if group.data_disk else Deploy(),
    )


def _template(environment: Environment, group: Group, image: str, zones: tuple[str, ...], api: Api | None) -> Template:
    name = group_name(environment.name, group.name)
    born_with = metadata(environment, group, api)
    return Template(
        name=f"{name}-{{instance.index}}",
        hostname=f"{group.name}-{{instance.index}}",
        image=image,
        network=environment.name,
        subnets=tuple(sorted(subnet_name(environment.name, zone, public=group.public) for zone in zones)),
        cores=group.machine.cores,
        core_fraction=group.machine.core_fraction,
        memory=group.machine.memory,
        disk=group.machine.disk,
        metadata=tuple(sorted(born_with.items())),
        tells=tuple(sorted({ref for text in born_with.values() for ref in mentioned(text)})),
        security_group=name,
        service_account=name if asks_lockbox(group) else "",
        issues=("gce",) if asks_lockbox(group) else (),
        data_disk=disk_name(environment.name, group.name) if group.data_disk else "",
        public=group.public,
    )
