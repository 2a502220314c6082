"""The resources that belong to no single group: network, subnets, NAT, the account of the group service, secrets."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from samovar.deploy.resources.network import Network, Subnet, subnet_name
from samovar.deploy.resources.resource import Resource, Spec, group_resource_name
from samovar.deploy.resources.route_table import Gateway, RouteTable
from samovar.deploy.resources.secret import Secret, secret_name
from samovar.deploy.resources.service_account import ServiceAccount, group_service_account
from samovar.project.environment import Environment, SecretKind
from samovar.project.group import BalancerType

SUBNET_BITS = 4
"""A zone's two subnets are sixteenths of the network's range, by the zone's letter: zones come and go, others stay."""
ZONES = 2 ** (SUBNET_BITS - 1)

GROUP_ROLES = (
    "compute.editor",
    "iam.serviceAccounts.user",
    "load-balancer.editor",
    "vpc.privateAdmin",
    "vpc.publicAdmin",
    "vpc.user",
)
"""The roles with which the group service creates machines with accounts, addresses and targets."""


def shared_resources(environment: Environment) -> Iterator[Resource[Spec]]:
    """Yields all resources that belong to no single group."""
    name = environment.name
    yield Resource(name, Network())
    yield Resource(group_service_account(name), ServiceAccount(GROUP_ROLES))
    if any(not group.public for group in environment.groups):
        yield Resource(name, Gateway())
        yield Resource(name, RouteTable(network=name, gateway=name))
    for public in sorted({group.public for group in environment.groups}):
        for zone in environment.zones:
            yield Resource(subnet_name(name, zone, public=public), _subnet(environment, zone, public=public))
    yield from _secrets(environment)


def subnet_cidr(network: IPv4Network, zone: str, *, public: bool = False) -> IPv4Network:
    """Return a zone's part of the network's range."""
    number = ord(zone[-1]) - ord("a") + (ZONES if public else 0)
    return [*network.subnets(prefixlen_diff=SUBNET_BITS)][number]


def _subnet(environment: Environment, zone: str, *, public: bool) -> Subnet:
    return Subnet(
        network=environment.name,
        zone=zone,
        cidr=str(subnet_cidr(environment.cidr, zone, public=public)),
        route_table="" if public else environment.name,
    )


def _secrets(environment: Environment) -> Iterator[Resource[Spec]]:
    """A certificate is made for every external address and for the domain."""
    addresses = [
        group_resource_name(environment.name, group.name)
        for group in environment.groups
        if group.balancer and group.balancer.type is BalancerType.EXTERNAL
    ]
    for secret, kind in environment.secrets.items():
        readers = [
            group_resource_name(environment.name, group.name) for group in environment.groups if secret in group.secrets
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
