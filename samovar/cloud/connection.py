"""The connection to a cloud: its endpoint, CA, credentials and folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from samovar.core.constants import DEFAULT_ZONE
from samovar.core.errors import ConfigError


@dataclass(frozen=True)
class Access:
    """The access to one cloud. `endpoint` is `host:port`.

    The credentials are an IAM or OAuth `token`, a service account's key (its file, or the `key` as JSON), or those of
    the machine that we run on, from the metadata service at `metadata`; `source` says where that was found. A
    `local` cloud has an admin API.
    """

    endpoint: str
    folder_id: str
    cloud_id: str = ""
    zone: str = DEFAULT_ZONE
    ca: Path | None = None
    token: str = field(default="", repr=False)
    key_file: Path | None = None
    key: str = field(default="", repr=False)
    metadata: str = ""
    source: str = ""
    local: bool = False

    @cached_property
    def roots(self) -> bytes | None:
        """The trusted certificates, PEM; None for those of the system."""
        return read(self.ca) if self.ca else None


def to_environment(access: Access) -> dict[str, str]:
    """Return the variables that point any client of the API at this cloud; empty ones are left out.

    A token goes before a key: Packer and the Terraform provider refuse to have both.
    """
    variables = {
        "YC_ENDPOINT": access.endpoint,
        "SSL_CERT_FILE": str(access.ca or ""),
        "YC_TOKEN": access.token,
        "YC_SERVICE_ACCOUNT_KEY_FILE": "" if access.token else str(access.key_file or ""),
        "YC_CLOUD_ID": access.cloud_id,
        "YC_FOLDER_ID": access.folder_id,
        "YC_ZONE": access.zone,
    }
    return {name: value for name, value in variables.items() if value}


def trust_loopback(variables: dict[str, str] | os._Environ[str] = os.environ) -> None:
    """Keep loopback out of every proxy: gRPC would send even 127.0.0.1 through `https_proxy`."""
    excepted = [name for name in (variables.get("no_proxy") or variables.get("NO_PROXY") or "").split(",") if name]
    variables["no_proxy"] = ",".join(dict.fromkeys([*excepted, "localhost", "127.0.0.1"]))


def read(path: Path) -> bytes:
    """Return the content of a file that the operator named. Raises ConfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", remedy="correct the path, or make the file readable") from error


def named(variables: Mapping[str, str], name: str) -> Path | None:
    """Return the file that a variable names."""
    return Path(variables[name]).expanduser() if variables.get(name) else None
