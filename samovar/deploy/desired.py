"""The resources that an environment asks for: a pure function of its file, its images and its machines' metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network

from samovar.cloud.labels import of_environment, to_texts
from samovar.deploy.preconditions import check_distinct, custom_metrics
from samovar.deploy.resources.address import Address, InternalAddress
from samovar.deploy.resources.autoscale import AutoScale
from samovar.deploy.resources.deploy_policy import Deploy
from samovar.deploy.resources.disk import Disk, disk_name
from samovar.deploy.resources.health_check import HealthCheck
from samovar.deploy.resources.instance_group import MAX_CHECKING_HEALTH, MAX_SEEDING, InstanceGroup
from samovar.deploy.resources.instance_template import Template
from samovar.deploy.resources.load_balancer import Listener, LoadBalancer
from samovar.deploy.resources.network import Network, Subnet, network_name, subnet_name, subnet_of
from samovar.deploy.resources.resource import (
    Desired,
    Protectable,
    Resource,
    Spec,
    find_placeholders,
    group_resource_name,
)
from samovar.deploy.resources.route_table import Gateway, RouteTable
from samovar.deploy.resources.secret import Secret, secret_name
from samovar.deploy.resources.security_group import SecurityGroup
from samovar.deploy.resources.seed_record import SeedRecord, seed_record_name
from samovar.deploy.resources.service_account import ServiceAccount, group_service_account
from samovar.deploy.resources.snapshot_schedule import SnapshotSchedule
from samovar.deploy.security_rules import needs_lockbox, rules
from samovar.project.balancer import Balancer, BalancerType, Health
from samovar.project.data_disk import DataDisk
from samovar.project.environment import Environment
from samovar.project.environment_options import SecretKind
from samovar.project.group import Group
from samovar.project.group_problems import WITH_DATA_DISKS

SUBNET_BITS = 4
"""A zone's two subnets are sixteenths of the network's range, by the zone's letter: zones come and go, others stay."""
ZONES = 2 ** (SUBNET_BITS - 1)

GROUP_ROLES = ("compute.editor", "load-balancer.editor", "vpc.user")
"""The roles in the folder with which the group service creates machines, puts them into subnets, and balances them.

To give machines an account it has a role on that account alone (`ServiceAccount.users`).
"""
PUBLIC_ROLE = "vpc.publicAdmin"
"""One more, for machines with public addresses."""
METRICS_ROLE = "monitoring.viewer"
"""And one for groups that are scaled by metrics of Monitoring."""
GROUP_CHECK = {"unhealthy": 5}
DATA_CHECK = {"interval": 3, "timeout": 2, "unhealthy": 10}
"""The health checks of a group, in seconds and in answers in a row, where the environment states none."""


def desired(
    environment: Environment,
    images: Mapping[str, str],
    metadata: Mapping[str, Mapping[str, str]],
    ranges: Sequence[str] = (),
) -> Desired:
    """Return the environment's resources. Raises ConfigError where two of them would have one name.

    `images` gives the full name (`samovar-nginx-<12 hex>`) of each image that a group is made from, `metadata` those
    of each group's machines, by the group's name. `ranges` are those of the machines' addresses where the subnets
    exist already.
    """
    where = [str(environment.cidr)] if environment.cidr else [*ranges]
    groups = [
        resource
        for group in environment.groups
        for resource in _group(environment, group, images[group.image], metadata[group.name], where)
    ]
    resources = (*shared_resources(environment), *groups)
    check_distinct(resources)
    protected = (_protected(each, on=environment.deletion_protection) for each in resources)
    return Desired(environment.name, tuple(protected))


def shared_resources(environment: Environment) -> Iterator[Resource[Spec]]:
    """Yield all resources that belong to no single group."""
    name = environment.name
    if not environment.network.id:
        yield Resource(name, Network())
    public = (PUBLIC_ROLE,) if any(group.public for group in environment.groups) else ()
    metrics = (METRICS_ROLE,) if any(custom_metrics(environment)) else ()
    roles = tuple(sorted((*GROUP_ROLES, *public, *metrics)))
    folders = (environment.images_folder_id,) if environment.images_folder_id else ()
    account = ServiceAccount(roles, images_folders=folders)
    yield Resource(group_service_account(name), account)
    if environment.cidr:
        yield from _subnets(environment, environment.cidr)
    yield from _secrets(environment)


def subnet_cidr(network: IPv4Network, zone: str, *, public: bool) -> IPv4Network:
    """Return a zone's part of the network's range."""
    number = ord(zone[-1]) - ord("a") + (ZONES if public else 0)
    return [*network.subnets(prefixlen_diff=SUBNET_BITS)][number]


def _subnets(environment: Environment, cidr: IPv4Network) -> Iterator[Resource[Spec]]:
    """Yield the gateway and the subnets: one a zone, and one more for public machines, which need no gateway."""
    name, network = environment.name, network_name(environment)
    if any(not group.public for group in environment.groups):
        yield Resource(name, Gateway())
        yield Resource(name, RouteTable(network=network, gateway=name))
    for public in sorted({group.public for group in environment.groups}):
        for zone in environment.zones:
            part = str(subnet_cidr(cidr, zone, public=public))
            subnet = Subnet(network=network, zone=zone, cidr=part, route_table="" if public else name)
            yield Resource(subnet_name(name, zone, public=public), subnet)


def _secrets(environment: Environment) -> Iterator[Resource[Spec]]:
    """A certificate is made for every external address and for the domain."""
    addresses = [
        group_resource_name(environment.name, group.name)
        for group in environment.groups
        if group.balancer and group.balancer.type is BalancerType.EXTERNAL
    ]
    for secret, kind in environment.own_secrets.items():
        readers = [
            group_resource_name(environment.name, group.name)
            for group in environment.groups
            if secret in group.secrets.values()
        ]
        certificate = kind is SecretKind.CERTIFICATE
        yield Resource(
            secret_name(environment.name, secret),
            Secret(
                type=kind.value,
                readers=tuple(sorted(readers)),
                addresses=tuple(sorted(addresses)) if certificate else (),
                domain=(environment.domain or "") if certificate else "",
            ),
        )


def _protected(resource: Resource[Spec], *, on: bool) -> Resource[Spec]:
    """Set the environment's `deletion_protection`, where the kind has one."""
    if not isinstance(resource.spec, Protectable):
        return resource
    return replace(resource, spec=replace(resource.spec, deletion_protection=on))


def _group(
    environment: Environment, group: Group, image: str, metadata: Mapping[str, str], ranges: Sequence[str]
) -> Iterator[Resource[Spec]]:
    name = group_resource_name(environment.name, group.name)
    own = SecurityGroup(network=network_name(environment), rules=rules(environment, group, ranges))
    yield Resource(name, own, group.name)
    if needs_lockbox(group):
        ids = [each for secret, each in environment.existing_secrets.items() if secret in group.secrets.values()]
        account = ServiceAccount(users=(group_service_account(environment.name),), secrets=tuple(sorted({*ids})))
        yield Resource(name, account, group.name)
    for device, data_disk in group.data_disks.items():
        yield from _data_disk(environment, group, device, data_disk)
    yield Resource(name, _instance_group(environment, group, image, metadata), group.name)
    if group.balancer:
        yield from _load_balancer(environment, group, group.balancer)


def _data_disk(environment: Environment, group: Group, device: str, data_disk: DataDisk) -> Iterator[Resource[Spec]]:
    disk = disk_name(environment.name, group.name, device)
    spec = Disk(data_disk.size, data_disk.type, environment.zones[0], device, data_disk.on_destroy.value)
    yield Resource(disk, spec, group.name)
    if schedule := data_disk.snapshot_schedule:
        yield Resource(disk, SnapshotSchedule(disk, schedule.expression, schedule.snapshot_count, device), group.name)
    if data_disk.seed:
        record = SeedRecord(readers=(group_resource_name(environment.name, group.name),), disk=disk)
        yield Resource(seed_record_name(environment.name, group.name), record, group.name)


def _load_balancer(environment: Environment, group: Group, balancer: Balancer) -> Iterator[Resource[Spec]]:
    name, zone = group_resource_name(environment.name, group.name), environment.zones[0]
    subnet = subnet_of(environment, zone, public=group.public)
    internal = balancer.type is BalancerType.INTERNAL
    listeners = tuple(Listener(key, each.port, each.target) for key, each in sorted(balancer.listeners.items()))
    check = _check(group.balancer_health)
    yield Resource(name, InternalAddress(subnet) if internal else Address(zone), group.name)
    yield Resource(name, LoadBalancer(name, listeners, name, check, subnet if internal else ""), group.name)


def _health_check(group: Group) -> HealthCheck:
    """A group recreates a running machine after 10 s without health, one with data after 30 s.

    A machine that is merely busy must not be recreated; one that died is known by its status before any check.
    """
    return _check(group.health, **(DATA_CHECK if group.data_disks else GROUP_CHECK))


def _check(health: Health, **defaults: int) -> HealthCheck:
    given = {name: getattr(health, name) for name in ("interval", "timeout", "healthy", "unhealthy")}
    values = {**defaults, **{name: value for name, value in given.items() if value is not None}}
    return HealthCheck(health.port, "" if health.type == "tcp" else health.path, **values)


def _instance_group(environment: Environment, group: Group, image: str, metadata: Mapping[str, str]) -> InstanceGroup:
    zones = environment.zones[:1] if group.data_disks else environment.zones
    return InstanceGroup(
        size=group.size,
        labels=to_texts(of_environment(environment.name, group.name)),
        autoscale=AutoScale.of(group.autoscale) if group.autoscale else None,
        zones=tuple(sorted(zones)),
        template=_template(environment, group, image, zones, metadata),
        check=_health_check(group),
        service_account=group_service_account(environment.name),
        balanced=group.balancer is not None,
        deploy=_deploy(group),
        healing=group.policy.healing.upper(),
        max_checking_health=MAX_SEEDING if group.data_disks else MAX_CHECKING_HEALTH,
    )


def _deploy(group: Group) -> Deploy:
    policy = group.policy.model_copy(update=WITH_DATA_DISKS) if group.data_disks else group.policy
    return Deploy(
        max_unavailable=policy.max_unavailable,
        max_expansion=policy.max_expansion,
        max_creating=policy.max_creating,
        startup_seconds=policy.startup,
    )


def _template(
    environment: Environment, group: Group, image: str, zones: tuple[str, ...], metadata: Mapping[str, str]
) -> Template:
    name = group_resource_name(environment.name, group.name)
    return Template(
        name=f"{name}-{{instance.index}}",
        hostname=f"{group.name}-{{instance.index}}",
        image=image,
        network=network_name(environment),
        subnets=tuple(sorted(subnet_of(environment, zone, public=group.public) for zone in zones)),
        cores=group.machine.cores,
        core_fraction=group.machine.core_fraction,
        memory=group.machine.memory,
        disk=group.machine.disk,
        disk_type=group.machine.disk_type,
        preemptible=group.machine.preemptible,
        platform=group.machine.platform,
        labels=to_texts(of_environment(environment.name, group.name)),
        metadata=tuple(sorted(metadata.items())),
        metadata_refs=find_placeholders(metadata.values()),
        security_group=name,
        service_account=name if needs_lockbox(group) else "",
        token_forms=("gce",) if needs_lockbox(group) else (),
        data_disks=to_texts({device: disk_name(environment.name, group.name, device) for device in group.data_disks}),
        public=group.public,
    )
