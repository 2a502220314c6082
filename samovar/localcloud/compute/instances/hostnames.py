"""Names of machines: which are DNS names, and which the network's name server answers itself."""

from __future__ import annotations

import re

from samovar.core.constants import REGION
from samovar.localcloud.api.errors import invalid

HOSTNAME_LABEL = r"[a-z]([-_a-z0-9]{0,61}[a-z0-9])?"
HOSTNAME = re.compile(rf"{HOSTNAME_LABEL}(\.{HOSTNAME_LABEL})*", re.ASCII)
RECORD_LABEL = r"[_a-z0-9]([-_a-z0-9]{0,61}[_a-z0-9])?"
RECORD = re.compile(rf"{RECORD_LABEL}(\.{RECORD_LABEL})*", re.ASCII)
LONGEST = 253
LOCAL_DOMAINS = (".internal", f".{REGION}.internal")
RESERVED_HOSTNAMES = frozenset({"api", "metadata", "localhost"})
"""Machines look for services of the network under these names, and not for another machine."""
ID_DOMAIN = ".auto.internal"
"""Under this domain each machine is known by its id."""


def check_hostname(hostname: str) -> None:
    """Refuse a hostname that is no DNS name, or that the network's name server answers itself; empty is valid."""
    if hostname:
        _check(hostname, HOSTNAME, "hostname")


def check_record(fqdn: str) -> None:
    """Refuse the name of a DNS record likewise: it stands beside the names of all machines, in whatever case."""
    _check(fqdn.removesuffix(".").lower(), RECORD, "dns_record_specs.fqdn")


def _check(name: str, form: re.Pattern[str], field: str) -> None:
    if len(name) > LONGEST or not form.fullmatch(name):
        raise invalid(f"{name!r} is not a DNS name", field)
    short = next((name.removesuffix(domain) for domain in LOCAL_DOMAINS[::-1] if name.endswith(domain)), name)
    if short in RESERVED_HOSTNAMES or name.endswith(ID_DOMAIN):
        raise invalid(f"the name {name} is reserved", field)
