"""The faults that the admin API can cause in a machine that runs: each is one command, and another one ends it.

The commands are fixed (faults.sh for those in the machine itself). What a request may choose is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

TABLE = "inet samovar_fault"
NFT = "/usr/sbin/nft"
SCRIPT = Path(__file__).with_name("faults.sh")


class Within(StrEnum):
    """The namespaces of the machine in which a command runs: all, or its network alone, with the host's programs."""

    MACHINE = "--all"
    NETWORK = "--net"


@dataclass(frozen=True)
class Command:
    """A command in a machine, with its input."""

    within: Within
    argv: Sequence[str]
    stdin: str = ""

    def namespaces(self, root: Path) -> tuple[Within, ...]:
        """Return the options of nsenter. `root` is the machine's root folder.

        nft is the machine's own where it has one: the host's may be older, and 1.0.6 crashes where 1.1.3 made a set.
        What is the machine's own runs as its root, who may have put another program there, and not as the host's.
        """
        own = self.argv[0] == NFT and (root / NFT.lstrip("/")).is_file()
        return (Within.MACHINE if own else self.within,)


@dataclass(frozen=True)
class MachineFault:
    """A fault in a machine. `addresses` are the ends of the packets that are dropped, `port` there (0: any).

    With the fault `port` it is the machine's own. `share` of the packets is dropped in each direction; `delay` is in
    seconds.
    """

    fault: Literal["hang", "slow", "mask", "freeze", "fill", "cut", "delay", "port", "tables", "connections"]
    unit: Annotated[str, Field(pattern=r"^([a-zA-Z0-9@_-]+[.]service)?$")] = ""
    path: Annotated[str, Field(pattern=r"^(/[\w./-]*)?$")] = ""
    addresses: tuple[Annotated[str, Field(pattern=r"^[0-9.]+(/[0-9]+)?$")], ...] = ()
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    delay: Annotated[float, Field(ge=0, le=60)] = 0.0


def cause(fault: MachineFault) -> Command | None:
    """Return the command that causes the fault; None for `freeze`, which control groups do."""
    match fault.fault:
        case "freeze":
            return None
        case "delay":
            change = ("qdisc", "add", "dev", "eth0", "root", "netem", "delay", f"{fault.delay * 1000:.0f}ms")
            return Command(Within.NETWORK, ("tc", *change))
        case "cut" | "port":
            return Command(Within.NETWORK, (NFT, "--file", "-"), rules(fault))
        case _:
            return _script("cause", fault)


def end(fault: MachineFault) -> Command | None:
    """Return the command that ends the fault; it may be repeated."""
    match fault.fault:
        case "freeze":
            return None
        case "delay":
            return Command(Within.NETWORK, ("sh", "-c", "tc qdisc del dev eth0 root 2>/dev/null || true"))
        case "cut" | "port":
            return Command(Within.NETWORK, (NFT, "--file", "-"), f"add table {TABLE}\ndelete table {TABLE}\n")
        case _:
            return _script("end", fault)


def _script(verb: str, fault: MachineFault) -> Command:
    argv = ("sh", "-eus", "--", f"{verb}_{fault.fault}", fault.unit or fault.path)
    return Command(Within.MACHINE, argv, SCRIPT.read_text())


def rules(fault: MachineFault) -> str:
    """Return the rules of nftables, in a table of their own in the machine's network namespace.

    The machine's own loopback is spared: a resolver that listens there is a part of the machine.
    """
    if fault.fault == "port":
        return _table([f'iifname "eth0" tcp dport {fault.port} reject with tcp reset'], [])
    lost = "" if fault.share == 1 else f" numgen random mod 1000 < {fault.share * 1000:.0f}"
    ends = f"{{ {', '.join(fault.addresses)} }}"
    received = [f'iifname "eth0" ip saddr {ends}{port}{lost} drop' for port in _ports(fault.port, "sport")]
    sent = [f'oifname "eth0" ip daddr {ends}{port}{lost} drop' for port in _ports(fault.port, "dport")]
    return _table(received, sent)


def _ports(port: int, side: str) -> tuple[str, ...]:
    return tuple(f" {protocol} {side} {port}" for protocol in ("tcp", "udp")) if port else ("",)


def _table(received: Sequence[str], sent: Sequence[str]) -> str:
    lines = [f"add table {TABLE}", f"delete table {TABLE}", f"add table {TABLE}"]
    for chain, hook, statements in (("received", "input", received), ("sent", "output", sent)):
        lines.append(f"add chain {TABLE} {chain} {{ type filter hook {hook} priority -300; }}")
        lines += [f"add rule {TABLE} {chain} {statement}" for statement in statements]
    return "\n".join(lines) + "\n"
