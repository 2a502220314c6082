"""Units, addresses and bounds that several layers use."""

from __future__ import annotations

MIB, GIB = 2**20, 2**30
ANY_IPV4 = "0.0.0.0/0"
"""The range of all IPv4 addresses."""
SSH_PORT = 22
MAX_RATE = 500.0
"""Requests a second, at most, that a load sends."""
MAX_PORT = 32767
"""The highest port of a balancer, and of its targets (network_load_balancer.proto)."""
