"""The URLs of an environment's balancers: of the listeners that there are, and of those that were lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from yandex.cloud.loadbalancer.v1 import network_load_balancer_pb2 as api

from samovar.cloud.session import Session
from samovar.core.errors import command_line
from samovar.deploy.resources.address import reserved_addresses
from samovar.deploy.resources.resource import group_resource_name
from samovar.deploy.status import Endpoints, GroupStatus, Unanswered
from samovar.project.balancer import BalancerType
from samovar.project.environment import Environment

DEFAULT_PORTS = {"http": 80, "https": 443}
Balancers = Mapping[str, api.NetworkLoadBalancer]
"""The balancers that the cloud has, by group."""
Lost = tuple[str, str, int]
"""A listener that the file states and the cloud does not have: its group, its name and its port."""


def endpoints(environment: Environment, balancers: Balancers) -> Endpoints:
    """Return the URLs of the external balancers' listeners."""
    listeners = [
        listener
        for group in environment.groups
        if group.balancer and group.balancer.type is BalancerType.EXTERNAL and group.name in balancers
        for listener in balancers[group.name].listeners
    ]
    urls = {
        scheme: tuple(_url(scheme, each.address, each.port) for each in listeners if each.name == scheme)
        for scheme in DEFAULT_PORTS
    }
    tcp = tuple(_url(each.name, each.address, each.port) for each in listeners if each.name not in DEFAULT_PORTS)
    return Endpoints(http=urls["http"], https=urls["https"], tcp=tcp)


def lost_listeners(environment: Environment, groups: Iterable[GroupStatus], balancers: Balancers) -> Iterator[Lost]:
    """Yield the listeners that the file states and the cloud does not have.

    While none of a group's machines is up, as in its first rollout, its balancer may be yet to come.
    """
    up = {group.name for group in groups if any(machine.up for machine in group.machines)}
    for group in environment.groups:
        if group.balancer and group.name in up:
            there = balancers[group.name].listeners if group.name in balancers else ()
            ports = {listener.port for listener in there}
            stated = group.balancer.listeners.items()
            yield from ((group.name, name, each.port) for name, each in stated if each.port not in ports)


def lost_urls(session: Session, environment: Environment, lost: Iterable[Lost]) -> tuple[Unanswered, ...]:
    """Return the URLs of listeners that were lost; the addresses are reserved, and asked for only here."""
    listeners = tuple(lost)
    reason = f"has no listener in the cloud: `{command_line(f'rollout {environment.name}')}` puts it back"
    reserved = reserved_addresses(session, environment.name) if listeners else {}
    names = {group: group_resource_name(environment.name, group) for group, _, _ in listeners}
    return tuple(
        Unanswered(_url(name, reserved.get(names[group], names[group]), port), reason)
        for group, name, port in listeners
    )


def _url(name: str, address: str, port: int) -> str:
    """Return the URL of a listener by its name, which is a scheme, or that of plain TCP."""
    if name not in DEFAULT_PORTS:
        return f"tcp://{address}:{port}"
    shown = "" if port == DEFAULT_PORTS[name] else f":{port}"
    return f"{name}://{address}{shown}/"
