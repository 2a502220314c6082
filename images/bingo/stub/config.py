"""Reads the configuration file as the binary does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

D = TypeVar("D", "Host", "Cluster", "Config")
CONFIG = Path("/opt/bingo/config.yaml")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class InvalidConfig(Exception):
    """The file is missing, or its content is not valid."""


@dataclass(frozen=True)
class Host:
    """The address and port of one PostgreSQL server of the cluster."""

    address: str = "localhost"
    port: int = 5432


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL cluster; one of its hosts is the primary."""

    hosts: tuple[Host, ...] = (Host(),)
    user: str = "postgres"
    password: str = field(default="postgres", repr=False)
    db_name: str = "postgres"
    ssl_mode: str = "disable"
    use_closest_node: bool = False


@dataclass(frozen=True)
class Config:
    """The content of `config.yaml`."""

    student_email: str = "test@example.com"
    postgres_cluster: Cluster = Cluster()


def load_config(path: Path = CONFIG) -> Config:
    """Read the file; raises InvalidConfig with the path and the key at fault."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InvalidConfig(f"{path}: {' '.join(str(error).split())}") from error
    try:
        return _config(document)
    except InvalidConfig as error:
        raise InvalidConfig(f"{path}: {error}") from error


def dump(config: Config) -> str:
    """Return the configuration as YAML, with the password hidden."""
    masked = replace(config, postgres_cluster=replace(config.postgres_cluster, password="***"))  # noqa: S106 - hidden
    document = asdict(masked)
    document["postgres_cluster"]["hosts"] = list(document["postgres_cluster"]["hosts"])
    return yaml.safe_dump(document, sort_keys=False)


def _config(document: Any) -> Config:
    top = _typed(Config(), document, "", nested="postgres_cluster")
    section = _mapping(document, "").get("postgres_cluster", {})
    cluster = _typed(Cluster(), section, "postgres_cluster.", nested="hosts")
    if cluster.ssl_mode not in SSL_MODES:
        raise InvalidConfig(f"postgres_cluster.ssl_mode: must be one of {', '.join(SSL_MODES)}")
    entries = _mapping(section, "postgres_cluster.").get("hosts", [{}])
    if not isinstance(entries, list) or not entries:
        raise InvalidConfig("postgres_cluster.hosts: must be a list of address and port")
    hosts = tuple(_typed(Host(), entry, f"postgres_cluster.hosts.{index}.") for index, entry in enumerate(entries))
    return replace(top, postgres_cluster=replace(cluster, hosts=hosts))


def _typed(default: D, value: Any, where: str, nested: str = "") -> D:
    """Return `default` with the keys of `value`; each must have its field's type. The key `nested` is left out."""
    given = {key: item for key, item in _mapping(value, where).items() if key != nested}
    for key, given_value in given.items():
        if key not in {item.name for item in fields(default)}:
            raise InvalidConfig(f"{where}{key}: unknown")
        if type(given_value) is not type(getattr(default, key)):
            raise InvalidConfig(f"{where}{key}: must be of the kind of {getattr(default, key)!r}")
    return replace(default, **given)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidConfig(f"{where.rstrip('.') or 'the file'}: must be a mapping")
    return {str(key): item for key, item in value.items()}
