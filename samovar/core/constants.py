"""Constants that several layers use: units, addresses, ports, the region and its first zone, bounds."""

from __future__ import annotations

MIB, GIB = 2**20, 2**30
REGION = "ru-central1"
"""The region of Yandex Cloud that the tool works in, and that the local cloud offers."""
DEFAULT_ZONE = f"{REGION}-a"
ANY_IPV4 = "0.0.0.0/0"
"""The range of all IPv4 addresses."""
SSH_PORT = 22
MAX_RATE = 500.0
"""Requests a second, at most, that a load sends."""
MAX_PORT = 32767
"""The highest port of a balancer, and of its targets (network_load_balancer.proto)."""
