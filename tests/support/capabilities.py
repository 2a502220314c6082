"""The capabilities that root has on this host; in some containers it lacks a few, and so do machines."""

from __future__ import annotations

from pathlib import Path

CAP_SYS_RESOURCE = 1 << 24
"""What ext4 asks for before it grows while it is mounted."""


def has_capability(mask: int) -> bool:
    status = Path("/proc/self/status").read_text().splitlines()
    (capabilities,) = (int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    return bool(capabilities & mask)
