"""How a cloud is reached: address, trust, who we are there and in which folder.

The environment says it for Yandex Cloud, the daemon's endpoint file for the local one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kit.errors import ConfigError

YANDEX = "api.cloud.yandex.net:443"
DEFAULT_ZONE = "ru-central1-a"
IAM_TOKEN = re.compile(r"t1\.[^.]+\.[^.]+")


@dataclass(frozen=True)
class Access:
    """One way into one cloud. `endpoint` is `host:port`; of `token` and `key_file` at least one is there."""

    endpoint: str
    folder_id: str
    cloud_id: str = ""
    zone: str = DEFAULT_ZONE
    ca: Path | None = None
    token: str = field(default="", repr=False)
    key_file: Path | None = None

    @cached_property
    def roots(self) -> bytes | None:
        """The certificates that we trust, PEM; None for those of the system."""
        return _read(self.ca) if self.ca else None

    def credentials(self) -> dict[str, Any]:
        """The SDK's own arguments: an IAM token, an OAuth token, or a service account's key."""
        if self.token:
            return {"iam_token" if IAM_TOKEN.fullmatch(self.token) else "token": self.token}
        assert self.key_file  # noqa: S101 - from_environment and the endpoint file see to it
        try:
            key = json.loads(_read(self.key_file))
            return {"service_account_key": {name: key[name] for name in ("id", "service_account_id", "private_key")}}
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self.key_file}: not a service account's key: {error}",
                remedy="make one: yc iam key create --service-account-name NAME --output FILE",
            ) from error


def from_environment(variables: Mapping[str, str]) -> Access:
    """Access to Yandex Cloud as `YC_*` and `SSL_CERT_FILE` say; ConfigError names what is missing."""
    token, key = variables.get("YC_TOKEN", ""), variables.get("YC_SERVICE_ACCOUNT_KEY_FILE", "")
    if not token and not key:
        raise ConfigError("no credentials for Yandex Cloud", remedy="set YC_TOKEN or YC_SERVICE_ACCOUNT_KEY_FILE")
    if not variables.get("YC_FOLDER_ID"):
        raise ConfigError("no folder of Yandex Cloud", remedy="set YC_FOLDER_ID to the folder's id")
    ca = variables.get("SSL_CERT_FILE")
    return Access(
        endpoint=variables.get("YC_ENDPOINT") or YANDEX,
        folder_id=variables["YC_FOLDER_ID"],
        cloud_id=variables.get("YC_CLOUD_ID", ""),
        zone=variables.get("YC_ZONE") or DEFAULT_ZONE,
        ca=Path(ca) if ca else None,
        token=token,
        key_file=Path(key) if key else None,
    )


def to_environment(access: Access) -> dict[str, str]:
    """The variables that point any client of the API at this cloud; those that say nothing are left out."""
    variables = {
        "YC_ENDPOINT": access.endpoint,
        "SSL_CERT_FILE": str(access.ca or ""),
        "YC_TOKEN": access.token,
        "YC_SERVICE_ACCOUNT_KEY_FILE": str(access.key_file or ""),
        "YC_CLOUD_ID": access.cloud_id,
        "YC_FOLDER_ID": access.folder_id,
        "YC_ZONE": access.zone,
    }
    return {name: value for name, value in variables.items() if value}


def trust_loopback(variables: dict[str, str] | os._Environ[str] = os.environ) -> None:
    """Keeps loopback out of every proxy: gRPC would send even 127.0.0.1 through `https_proxy`."""
    excepted = [name for name in (variables.get("no_proxy") or variables.get("NO_PROXY") or "").split(",") if name]
    variables["no_proxy"] = ",".join(dict.fromkeys([*excepted, "localhost", "127.0.0.1"]))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", remedy="correct the path, or make the file readable") from error
