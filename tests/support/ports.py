"""Ports of loopback that nobody has."""

from __future__ import annotations

import socket


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
        return number


def is_free(number: int) -> bool:
    """Return whether the port is free on all addresses of IPv6 and IPv4."""
    try:
        with socket.create_server(("", number), family=socket.AF_INET6, dualstack_ipv6=True):
            return True
    except OSError:
        return False
