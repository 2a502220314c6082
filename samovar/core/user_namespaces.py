"""Finds out whether this host can give each local machine a user namespace of its own."""

from __future__ import annotations

import os
from pathlib import Path

OLDEST_KERNEL = (5, 19)
"""The first kernel whose overlay takes idmapped layers."""
LIMIT = Path("/proc/sys/user/max_user_namespaces")


def unavailable(release: str | None = None, limit: Path = LIMIT) -> str:
    """Return why machines must share the host's users; empty where each can have its own. `release` is the kernel's."""
    release = release or os.uname().release
    if _version(release) < OLDEST_KERNEL:
        return f"the kernel is {release}, and {'.'.join(map(str, OLDEST_KERNEL))} is the first that can"
    if not limit.exists():
        return "the kernel was built without them (CONFIG_USER_NS)"
    if not int(limit.read_text()):
        return "the host allows none (sysctl user.max_user_namespaces is 0)"
    return ""


def _version(release: str) -> tuple[int, ...]:
    numbers = release.partition("-")[0].split(".")[:2]
    return tuple(int(number) for number in numbers if number.isdigit())
