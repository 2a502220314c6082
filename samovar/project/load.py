"""From `envs/<name>/config.yaml` to an `Environment`."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from types import MappingProxyType

from samovar.core.errors import ConfigError
from samovar.core.yaml_file import load_model
from samovar.project.environment import Balancer, DataDisk, Environment, Group, Health, Machine, Operator
from samovar.project.environment_file import NAME, BalancerEntry, EnvironmentFile, GroupEntry, HealthEntry
from samovar.project.group_kind import complete_groups
from samovar.project.project import Project

FILE = "config.yaml"


def environment_names(folder: Path) -> list[str]:
    """Every folder that holds a `config.yaml`."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))


def load_environment(name: str, project: Project) -> Environment:
    """Reads and checks an environment; ConfigError names file, line and remedy, or the environments that exist."""
    folder = project.envs
    known = environment_names(folder)
    if name not in known:
        raise ConfigError(
            f"no environment {name}: {folder / name / FILE} is not there",
            remedy=f"environments: {', '.join(known) or 'none'}",
        )
    if not re.match(NAME, name):
        raise ConfigError(
            f"{folder / name}: {name} cannot be a name in the cloud",
            remedy="name the folder with up to 31 small letters, digits and hyphens, a letter first",
        )
    path = folder / name / FILE
    entry = load_model(path, EnvironmentFile, complete=partial(complete_groups, path, project.groups))
    return Environment(
        name=name,
        cloud=entry.cloud,
        zones=tuple(entry.zones),
        cidr=entry.network.cidr,
        domain=entry.domain,
        groups=tuple(_group(group_name, group) for group_name, group in entry.groups.items()),
        secrets=MappingProxyType(entry.secrets),
        operator=_operator(entry),
        bake_from=str(entry.bake.ssh_from) if entry.bake else None,
        deletion_protection=entry.deletion_protection,
        folder_id=entry.folder,
        cloud_id=entry.cloud_id,
        project=project,
    )


def _operator(entry: EnvironmentFile) -> Operator | None:
    if entry.operator and entry.bastion:
        return Operator(tuple(entry.operator.ssh_keys), entry.bastion)
    return None


def _balancer(entry: BalancerEntry, of_group: HealthEntry) -> Balancer:
    return Balancer(entry.type, MappingProxyType(entry.listeners), _health(entry.health or of_group))


def _health(entry: HealthEntry) -> Health:
    return Health(**entry.model_dump())


def _group(name: str, entry: GroupEntry) -> Group:
    return Group(
        name=name,
        image=entry.image,
        size=entry.size,
        machine=Machine(**entry.machine.model_dump()),
        health=_health(entry.health),
        public=entry.public,
        balancer=_balancer(entry.balancer, entry.health) if entry.balancer else None,
        settings=MappingProxyType(entry.settings),
        upstream=entry.upstream,
        ports=tuple(entry.ports),
        secrets=tuple(entry.secrets),
        data_disk=DataDisk(**entry.data_disk.model_dump()) if entry.data_disk else None,
    )
