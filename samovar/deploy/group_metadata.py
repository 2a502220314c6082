"""The metadata with which the machines of each group are born. Placeholders stand for ids and addresses. Pure."""

from __future__ import annotations

from samovar.cloudinit.metadata import Api, instance_metadata
from samovar.deploy.resources.resource import Kind, Ref, group_resource_name, placeholder
from samovar.deploy.resources.secret import secret_name
from samovar.deploy.resources.seed_record import seed_record_name
from samovar.deploy.security_rules import is_edge
from samovar.project.environment import Environment
from samovar.project.group import Balancer, BalancerType, Group

PEERS = 8
"""Peers are counted in steps of so many, so that a group that grows by one does not replace its clients."""
SEEDED = "seeded"
"""The secret by which a group whose data disk is seeded once learns whether it was."""


def group_metadata(environment: Environment, api: Api | None = None) -> dict[str, dict[str, str]]:
    """Return the metadata of each group's machines, by the group's name.

    `api` is where machines reach the cloud's API, where they do not know it by themselves.
    """
    return {group.name: machine_metadata(environment, group, api) for group in environment.groups}


def machine_metadata(environment: Environment, group: Group, api: Api | None = None) -> dict[str, str]:
    """Return the metadata of one group's machines."""
    secrets = _secrets(environment, group)
    peers = {group.name: _most_machines(group)} if is_edge(group) and group.ports else {}
    settings: dict[str, object] = dict(group.settings)
    if group.upstream:
        upstream = environment.group(group.upstream)
        peers[upstream.name] = _most_machines(upstream)
        if upstream.balancer and upstream.balancer.type is BalancerType.INTERNAL:
            settings.setdefault("upstream", _balancer_address(environment, upstream, upstream.balancer))
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


def _secrets(environment: Environment, group: Group) -> dict[str, str]:
    secrets = {name: placeholder(Ref(Kind.SECRET, secret_name(environment.name, name))) for name in group.secrets}
    if group.data_disk and group.data_disk.seed:
        secrets[SEEDED] = placeholder(Ref(Kind.SEED_RECORD, seed_record_name(environment.name, group.name)))
    return secrets


def _most_machines(group: Group) -> int:
    """The group can grow to so many machines before its clients get new metadata."""
    return (group.size // PEERS + 1) * PEERS


def _balancer_address(environment: Environment, group: Group, balancer: Balancer) -> str:
    address = placeholder(Ref(Kind.INTERNAL_ADDRESS, group_resource_name(environment.name, group.name)))
    return f"{address}:{min(balancer.listeners.values())}"
