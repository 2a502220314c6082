"""The metadata with which the machines of each group are born. Placeholders stand for ids and addresses. Pure."""

from __future__ import annotations

from pathlib import Path

from samovar.cloudinit.metadata import Api, RefusedSetting, instance_metadata, user_data
from samovar.core.errors import ConfigError
from samovar.deploy.monitoring import monitoring_metadata
from samovar.deploy.resources.resource import Kind, Ref, group_resource_name, placeholder
from samovar.deploy.resources.secret import secret_name
from samovar.deploy.resources.seed_record import seed_record_name
from samovar.project.balancer import Balancer, BalancerType
from samovar.project.data_disk import DataDisk
from samovar.project.environment import Environment
from samovar.project.group import Group

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
    """Return the metadata of one group's machines. Raises ConfigError with the place of a setting that is refused."""
    try:
        return _metadata(environment, group, api)
    except RefusedSetting as error:
        place = environment.place_of_setting(group, *error.path)
        raise ConfigError(f"{place}: {error.problem}", remedy=error.remedy) from error


def _metadata(environment: Environment, group: Group, api: Api | None) -> dict[str, str]:
    secrets = _secrets(environment, group)
    keys = environment.operator.ssh_keys if environment.operator else ()
    fragments = [_fragment(environment, group, name) for name in group.cloudinit]
    return instance_metadata(
        group.image,
        group.settings,
        api if secrets else None,
        peers=_machines(group) if group.balancer and group.ports else {},
        upstreams={name: _upstream(environment, upstream) for name, upstream in group.upstreams.items()},
        secrets=secrets,
        monitoring=monitoring_metadata(environment, group, _machines),
        disks={name: _mount(disk) for name, disk in group.data_disks.items() if disk.mount},
        cloud_config=user_data(environment.user_data, operator_keys=keys, fragments=fragments),
    )


def _fragment(environment: Environment, group: Group, name: str) -> Path:
    folder = environment.project.cloudinit
    path = folder / f"{name}.yaml"
    if not path.is_file():
        there = ", ".join(sorted(each.stem for each in folder.glob("*.yaml"))) or "none"
        place = environment.place("groups", group.name, "cloudinit")
        raise ConfigError(f"{place}: no fragment {name}: {path} is not there", remedy=f"fragments: {there}")
    return path


def _upstream(environment: Environment, upstream: str) -> dict[str, object]:
    if server := environment.external.get(upstream):
        return {"address": f"{server.host}:{server.port}"}
    group = environment.group(upstream)
    if group.balancer and group.balancer.type is BalancerType.INTERNAL:
        return {"address": _balancer_address(environment, group, group.balancer), **_machines(group)}
    return _machines(group)


def _secrets(environment: Environment, group: Group) -> dict[str, str]:
    ids = environment.existing_secrets
    secrets = {
        name: ids.get(secret) or placeholder(Ref(Kind.SECRET, secret_name(environment.name, secret)))
        for name, secret in group.secrets.items()
    }
    if group.seeded_disk:
        secrets[SEEDED] = placeholder(Ref(Kind.SEED_RECORD, seed_record_name(environment.name, group.name)))
    return secrets


def _mount(disk: DataDisk) -> dict[str, object]:
    """Return how a machine mounts a data disk."""
    owner = {"owner": disk.owner} if disk.owner else {}
    return {"mount": disk.mount, "filesystem": disk.filesystem, "options": ",".join(disk.options), **owner}


def most_machines(group: Group) -> int:
    """Return how many machines the group can have before its clients get new metadata."""
    return (group.largest_size // PEERS + 1) * PEERS


def _machines(group: Group) -> dict[str, object]:
    return {"group": group.name, "machines": most_machines(group)}


def _balancer_address(environment: Environment, group: Group, balancer: Balancer) -> str:
    address = placeholder(Ref(Kind.INTERNAL_ADDRESS, group_resource_name(environment.name, group.name)))
    return f"{address}:{min(listener.port for listener in balancer.listeners.values())}"
