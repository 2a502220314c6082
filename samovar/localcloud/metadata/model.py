"""A machine's metadata as plain values, which the rest of the local cloud fills in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from samovar.localcloud import clock


@dataclass(frozen=True)
class Interface:
    """A network interface. `public` is its one-to-one NAT address, if it has one."""

    mac: str
    address: str
    subnet_id: str
    public: str | None = None


@dataclass(frozen=True)
class Disk:
    """An attached disk, the boot disk first. `device_name` is the disk's id where the operator named none."""

    device_name: str
    mode: str = "READ_WRITE"


@dataclass(frozen=True)
class Options:
    """Yandex's MetadataOptions, as what is switched on; the defaults are Yandex's own."""

    gce_endpoint: bool = True
    gce_token: bool = True
    aws_endpoint: bool = True
    aws_token: bool = False


@dataclass(frozen=True)
class Token:
    """An IAM token of the machine's service account."""

    access_token: str
    expires_at: datetime

    def in_google_form(self) -> str:
        """Return the JSON that Google's clients and the SDK read."""
        seconds = int((self.expires_at - clock.utc_now()).total_seconds())
        return json.dumps({"access_token": self.access_token, "expires_in": seconds, "token_type": "Bearer"})

    def in_amazon_form(self) -> str:
        """Return the JSON for Amazon's clients: the token alone, there are no keys."""
        return json.dumps({"Code": "Success", "Expiration": self.expires_at.isoformat(), "Token": self.access_token})


@dataclass(frozen=True)
class MachineMetadata:
    """A machine. `attributes` is the instance's own `metadata`, user-data included; `created_at` is RFC 3339."""

    id: str
    name: str
    fqdn: str
    zone: str
    folder_id: str
    cloud_id: str
    image_id: str
    created_at: str
    interfaces: tuple[Interface, ...]
    disks: tuple[Disk, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    service_account_id: str | None = None
    options: Options = Options()

    def identity_document(self) -> str:
        """Return the unsigned identity document: instanceId, imageId, createdAt and what the Marketplace would add."""
        document: dict[str, str | list[str] | None] = {
            "instanceId": self.id,
            "productCodes": None,
            "imageId": self.image_id,
            "productIds": [],
            "createdAt": self.created_at,
            "version": "2023-03-01",
        }
        return json.dumps(document, separators=(",", ":"))
