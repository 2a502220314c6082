"""The rights of a process, as the kernel states them (proc(5), /proc/PID/status); and a process that has ended."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CAPABILITIES = {
    10: "net_bind_service",
    12: "net_admin",
    13: "net_raw",
    19: "sys_ptrace",
    21: "sys_admin",
    24: "sys_resource",
}
SECCOMP_FILTER = "2"
NAME_ITSELF = "from samovar.core.proc import process_identity; print(process_identity())"


@dataclass(frozen=True)
class Privileges:
    """All of a process's user and group ids; the capabilities that it has or can take; whether seccomp filters it."""

    users: frozenset[int]
    groups: frozenset[int]
    capabilities: frozenset[str]
    filtered: bool


def privileges(pid: int) -> Privileges:
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    status = {name: value.split() for name, _, value in lines}
    return Privileges(
        users=frozenset(map(int, status["Uid"])),
        groups=frozenset(map(int, status["Gid"])),
        capabilities=_capabilities(int(status["CapPrm"][0], 16) | int(status["CapEff"][0], 16)),
        filtered=status["Seccomp"] == [SECCOMP_FILTER],
    )


def _capabilities(mask: int) -> frozenset[str]:
    return frozenset(CAPABILITIES.get(bit, str(bit)) for bit in range(mask.bit_length()) if mask >> bit & 1)


def ended_process() -> str:
    """Return the identity of a process of this place that has ended."""
    ended = subprocess.run([sys.executable, "-c", NAME_ITSELF], capture_output=True, text=True, check=True)
    return ended.stdout.strip()
