"""The configuration file, as the binary reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

D = TypeVar("D", "Host", "Cluster", "Config")
CONFIG = Path("/opt/bingo/config.yaml")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class ConfigFault(Exception):
    """The file is not there, or does not hold what it must."""


@dataclass(frozen=True)
class Host:
    """Where a PostgreSQL server of the cluster listens."""

    address: str = "localhost"
    port: int = 5432


@dataclass(frozen=True)
class Cluster:
    """A cluster of PostgreSQL, one of whose hosts is the primary."""

    hosts: tuple[Host, ...] = (Host(),)
    user: str = "postgres"
    password: str = field(default="postgres", repr=False)
    db_name: str = "postgres"
    ssl_mode: str = "disable"
    use_closest_node: bool = False


@dataclass(frozen=True)
class Config:
    """All of `config.yaml`."""

    student_email: str = "test@example.com"
    postgres_cluster: Cluster = Cluster()


def load_config(path: Path = CONFIG) -> Config:
    """Raises ConfigFault with the path and the key at fault."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigFault(f"{path}: {' '.join(str(error).split())}") from error
    try:
        return _config(document)
    except ConfigFault as error:
        raise ConfigFault(f"{path}: {error}") from error


def dump(config: Config) -> str:
    """As YAML, the password hidden."""
    shown = replace(config, postgres_cluster=replace(config.postgres_cluster, password="***"))  # noqa: S106 - hidden
    document = asdict(shown)
    document["postgres_cluster"]["hosts"] = list(document["postgres_cluster"]["hosts"])
    return yaml.safe_dump(document, sort_keys=False)


def _config(document: Any) -> Config:
    top = _typed(Config(), document, "", but="postgres_cluster")
    inner = _mapping(document, "").get("postgres_cluster", {})
    cluster = _typed(Cluster(), inner, "postgres_cluster.", but="hosts")
    if cluster.ssl_mode not in SSL_MODES:
        raise ConfigFault(f"postgres_cluster.ssl_mode: must be one of {', '.join(SSL_MODES)}")
    hosts = _mapping(inner, "postgres_cluster.").get("hosts", [{}])
    if not isinstance(hosts, list) or not hosts:
        raise ConfigFault("postgres_cluster.hosts: must be a list of address and port")
    found = tuple(_typed(Host(), host, f"postgres_cluster.hosts.{place}.") for place, host in enumerate(hosts))
    return replace(top, postgres_cluster=replace(cluster, hosts=found))


def _typed(default: D, value: Any, where: str, but: str = "") -> D:
    """`default` with the keys of `value`, each of its field's type; without the key `but`, which is not plain."""
    given = {key: item for key, item in _mapping(value, where).items() if key != but}
    for key, item in given.items():
        if key not in {known.name for known in fields(default)}:
            raise ConfigFault(f"{where}{key}: unknown")
        if type(item) is not type(getattr(default, key)):
            raise ConfigFault(f"{where}{key}: must be of the kind of {getattr(default, key)!r}")
    return replace(default, **given)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigFault(f"{where.rstrip('.') or 'the file'}: must be a mapping")
    return {str(key): item for key, item in value.items()}
