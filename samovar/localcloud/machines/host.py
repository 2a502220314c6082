"""What this host is, and so who keeps the machines' control groups."""

from __future__ import annotations

from pathlib import Path

from samovar.localcloud.machines.cgroupfs import ByHand
from samovar.localcloud.machines.supervisor import Keeper
from samovar.localcloud.machines.systemd import Systemd

SYSTEMD_IS_INIT = Path("/run/systemd/system")  # as sd_booted(3) asks


def keeper_of_this_host(prefix: str) -> Keeper:
    """`prefix` tells this cloud's machines from everything else on the host."""
    return Systemd(prefix) if SYSTEMD_IS_INIT.is_dir() else ByHand(prefix)
