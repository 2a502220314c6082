"""How many descriptors the daemon may have, and what part of them each of its services may spend on connections."""

from __future__ import annotations

import resource

LARGEST_SHARE = 1024
SHARES = 8
"""Four services listen: both ports, the API in networks, metadata. So half of the descriptors are never theirs."""


def raise_limit() -> int:
    """Raises the soft limit to the hard one, which it returns; most hosts start a process with 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def share() -> int:
    """The connections that one service may have at a time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(LARGEST_SHARE, soft // SHARES) if soft > 0 else LARGEST_SHARE
