"""The machines of groups, by DNS: `<group>-1` to `<group>-<count>` in this machine's own domain."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping

from .errors import Away
from .facts import Machine, Peer

ABSENT = (socket.EAI_NONAME, socket.EAI_NODATA)

Lookup = Callable[[str], str | None]


def lookup(fqdn: str) -> str | None:
    """The name's first IPv4 address, None where there is no such machine. Raises Away when nobody can tell."""
    try:
        found = socket.getaddrinfo(f"{fqdn}.", None, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in ABSENT:
            return None
        raise Away(f"the name server: {fqdn}: {error.strerror}") from error
    return min(str(address[0]) for *_, address in found)


def find_peers(counts: Iterable[tuple[str, int]], machine: Machine, lookup: Lookup) -> Mapping[str, tuple[Peer, ...]]:
    """The machines that there are of each group, by their index; itself a machine needs not look up. Raises Away."""
    return {group: tuple(_group(group, count, machine, lookup)) for group, count in counts}


def _group(group: str, count: int, machine: Machine, lookup: Lookup) -> Iterator[Peer]:
    domain = machine.hostname.partition(".")[2]
    for index in range(1, count + 1):
        name = f"{group}-{index}"
        fqdn = f"{name}.{domain}" if domain else name
        address = machine.address if fqdn == machine.hostname else lookup(fqdn)
        if address:
            yield Peer(name, address)
