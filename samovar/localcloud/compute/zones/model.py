"""The zones and the types of disk: there is a fixed list of each."""

from __future__ import annotations

from samovar.core.constants import REGION
from samovar.localcloud.api.errors import invalid, not_found

ZONES = tuple(f"{REGION}-{letter}" for letter in "abd")
NONREPLICATED, HIGH_SPEED = "network-ssd-nonreplicated", "network-ssd-io-m3"
DISK_TYPES = ("network-hdd", "network-ssd", NONREPLICATED, HIGH_SPEED)
STEP = 93 << 30
"""The size of a disk of these two types is a multiple of 93 GB (Compute Cloud documentation, concepts/disk)."""


def check_zone(zone_id: str) -> None:
    """Refuse a zone that does not exist."""
    if zone_id not in ZONES:
        raise not_found("Zone", zone_id)


def check_disk_type(type_id: str, size: int = 0) -> None:
    """Refuse a type of disk that does not exist, and a size (bytes, 0 for none) that no disk of the type has."""
    if type_id not in DISK_TYPES:
        raise not_found("DiskType", type_id)
    if type_id in {NONREPLICATED, HIGH_SPEED} and size % STEP:
        raise invalid(f"the size of a disk of the type {type_id} is a multiple of {STEP}", "size")
