"""Tells why an application is not well: how often it was started, where it listens, and what it printed last."""

from __future__ import annotations

from collections.abc import Sequence

from .commands import Log, run
from .config import ALIAS, Config
from .probes import ports, processes

LINES, LONGEST = 5, 600
"""Of what it printed last: this many lines, and characters of all of them."""


def diagnose(config: Config, log: Log) -> str:
    """Return what is known of the application, in one line."""
    restarts = run(log, "systemctl", "show", "--property=NRestarts", "--value", ALIAS.name).strip()
    shown = ("--quiet", "--no-pager", "--output=cat", f"--lines={LINES}")
    printed = run(log, "journalctl", *shown, f"_SYSTEMD_UNIT={config.unit}", "_TRANSPORT=stdout")
    return describe(config.port, int(restarts or 0), ports(processes(config.unit)), printed)


def describe(port: int, restarts: int, listens: Sequence[int], printed: str) -> str:
    """Return the facts in one line. `port` is where it should listen, 0 for nowhere."""
    facts = [f"it was started again {restarts} times"] if restarts else []
    if port and port not in listens:
        where = f"at {', '.join(map(str, listens))}, and " if listens else ""
        facts.append(f"it listens {where}not at {port}")
    lines = dict.fromkeys(line.strip() for line in printed.splitlines() if line.strip())
    text = " | ".join(lines)[-LONGEST:]
    return "; ".join((*facts, f"it printed last: {text}" if text else "it printed nothing"))
