"""Names that a machine may have: DNS names, and none that a network's name server answers for itself."""

from __future__ import annotations

import re

from samovar.localcloud.api.errors import invalid

LABEL = r"[a-z]([-_a-z0-9]{0,61}[a-z0-9])?"
NAME = re.compile(rf"{LABEL}(\.{LABEL})*", re.ASCII)
LONGEST = 253
DOMAINS = (".internal", ".ru-central1.internal")
RESERVED = frozenset({"api", "metadata", "localhost"})
"""What machines look for under these names is not another machine."""
IDS = ".auto.internal"
"""Under this domain each machine is known by its id, and nobody else's."""


def check_hostname(hostname: str) -> None:
    """INVALID_ARGUMENT for what is no DNS name, and for one that is not a machine's to have; empty is none."""
    if not hostname:
        return
    if len(hostname) > LONGEST or not NAME.fullmatch(hostname):
        raise invalid(f"{hostname!r} is not a DNS name", "hostname")
    short = next((hostname.removesuffix(domain) for domain in DOMAINS[::-1] if hostname.endswith(domain)), hostname)
    if short in RESERVED or hostname.endswith(IDS):
        raise invalid(f"the name {hostname} is reserved", "hostname")
