"""The times that a cloud may take: one on this host boots a machine in seconds, a large one in minutes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """Seconds after which something is given up, and the longest pause between two looks at it.

    `operation` is a call's; `deletion` that of a resource; `target_group` until a new group has one; `healthy` until an
    environment is healthy.
    """

    operation: float
    deletion: float
    target_group: float
    healthy: float
    longest_pause: float


LOCAL = Timeouts(operation=180.0, deletion=600.0, target_group=60.0, healthy=600.0, longest_pause=0.5)
REMOTE = Timeouts(operation=600.0, deletion=1800.0, target_group=300.0, healthy=1800.0, longest_pause=5.0)
"""The provider of Terraform gives an instance group 30 minutes, and a balancer or a target group 5."""
