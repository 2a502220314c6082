"""Ids in the API's form: three letters of their kind and seventeen characters of 0-9a-v."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789abcdefghijklmnopqrstuv"
LENGTH = 17

PREFIXES = {
    "address": "e9b",
    "cloud": "b1g",
    "disk": "fhm",
    "folder": "b1g",
    "gateway": "enp",
    "image": "fd8",
    "instance": "fhm",
    "instance-group": "cl1",
    "key": "aje",
    "load-balancer": "enp",
    "managed-instance": "cl1",
    "network": "enp",
    "operation": "fhm",
    "route-table": "enp",
    "secret": "e6q",  # pragma: allowlist secret - a kind of resource
    "secret-version": "e6q",
    "security-group": "enp",
    "security-group-rule": "enp",
    "service-account": "aje",
    "snapshot": "fd8",
    "subnet": "e9b",
    "target-group": "enp",
}


def new_id(kind: str) -> str:
    """Returns a new id for one of the kinds above, with that kind's prefix as the real API has it."""
    return PREFIXES[kind] + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
