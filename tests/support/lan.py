"""Machines on one cable without a cloud: each is told by its image what the agent would have found out."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from samovar.core.errors import ProcessFailed
from samovar.core.process import run
from samovar.core.waiting import Pending, wait_for_async
from samovar.localcloud.machines.driver import NspawnDriver
from samovar.localcloud.machines.model import DataDisk, Machine
from tests.support.leftovers import leftovers

MIB = 1 << 20
CHECKER = "198.18.235.2"
"""Where a cloud's health checks come from."""
SLOW = 20
"""How much slower than here a host may be, emulated and busy, before a test calls it a fault."""
# In the words of debugfs(8). Instead of the agent its trial renders the role's files, with peers at 10.0.0.11 and on.
TOLD = """\
rm etc/systemd/system/samovar-agent.service
write {folder}/agent.service etc/systemd/system/samovar-agent.service
write {folder}/settings etc/samovar-trial
rm etc/systemd/network/10-samovar.network
write {folder}/network etc/systemd/network/10-samovar.network
symlink etc/systemd/system/ssh.service /dev/null
write /dev/null etc/cloud/cloud-init.disabled
"""
AGENT = """\
[Unit]
DefaultDependencies=no
After=local-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
Environment=PYTHONPATH=/usr/lib/samovar
ExecStart=/bin/sh -c 'exec python3 -m samovar_agent.dry_run {role} "$(cat /etc/samovar-trial)"'
[Install]
WantedBy=multi-user.target
"""
NETWORK = """\
[Match]
Name=eth0
[Network]
Address={address}/24
LinkLocalAddressing=no
LLMNR=no
[Route]
Destination=198.18.235.2/32
Gateway=10.0.0.1
"""


@dataclass
class Lan:
    """`folder` is the home of its machines; its cable is a bridge in a network namespace of its own."""

    folder: Path
    prefix: str
    netns: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("machines", "disks", "images"):
            (self.folder / name).mkdir()
        self.driver = NspawnDriver(self.folder / "machines", self.prefix)
        self.cable = self._namespace("lan")
        self._ip(self.cable, "link add br0 type bridge", "address add 10.0.0.1/24 dev br0", "link set br0 up")
        self._ip(self.cable, f"address add {CHECKER}/32 dev br0")

    def machine(self, name: str, image: Path, *, memory: int, disks: tuple[DataDisk, ...] = ()) -> Machine:
        netns = self._namespace(name)
        self._ip(netns, f"link add eth0 type veth peer name port-{name} netns {self.cable}")
        self._ip(self.cable, f"link set port-{name} master br0 up")
        return Machine(
            id=name,
            hostname=name,
            image=image,
            boot_disk=self.folder / "disks" / f"{name}.raw",
            boot_disk_size=3 << 30,
            cores=2,
            core_fraction=100,
            memory=memory,
            netns=netns,
            disks=disks,
        )

    def told(self, image: Path, role: str, address: str, settings: str) -> Path:
        """A copy of an image whose machines have that role, address and settings."""
        folder = self.folder / "images" / f"{role}-{len(list((self.folder / 'images').iterdir()))}"
        folder.mkdir()
        (folder / "agent.service").write_text(AGENT.format(role=role))
        (folder / "network").write_text(NETWORK.format(address=address))
        (folder / "settings").write_text(settings)
        (folder / "words").write_text(TOLD.format(folder=folder))
        run(["cp", "--sparse=always", image, folder / "raw"])
        run(["debugfs", "-w", "-f", folder / "words", folder / "raw"])
        return folder / "raw"

    def disk(self, name: str, size: int = 2 << 30) -> DataDisk:
        path = self.folder / "disks" / f"{name}-data.raw"
        with path.open("ab") as sparse:
            sparse.truncate(size)
        return DataDisk("pgdata", path)

    async def until(self, machine: Machine, command: str, *, timeout: float = 20 * SLOW) -> float:
        """Seconds until the command succeeds in the machine."""
        began = time.monotonic()

        def done() -> bool | Pending:
            try:
                return bool(self.inside(machine, f"{command} && echo done"))
            except ProcessFailed as error:
                return Pending(error.output)

        await wait_for_async(f"{machine.id}: {command}", done, timeout=timeout, interval=0.05, ceiling=0.2)
        return time.monotonic() - began

    def inside(self, machine: Machine, command: str) -> str:
        """What the command says, as root of the guest."""
        pid = self.driver.observe()[machine.id].pid
        return run(["nsenter", "-a", "-t", str(pid), "bash", "-ec", command], timeout=20 * SLOW).stdout.strip()

    def outside(self, *command: str) -> str:
        """What the command says at the end of the cable, 10.0.0.1."""
        return run(["ip", "netns", "exec", self.cable, *command], timeout=20 * SLOW).stdout

    async def close(self) -> None:
        for machine_id in self.driver.observe():
            await self.driver.remove(machine_id)
        await self.driver.close()
        for name in self.netns:
            run(["ip", "netns", "del", name])
        assert leftovers(self.folder, self.prefix) == []

    def _namespace(self, name: str) -> str:
        netns = f"{self.prefix}-{name}"
        run(["ip", "netns", "add", netns])
        self.netns.append(netns)
        return netns

    def _ip(self, netns: str, *lines: str) -> None:
        run(["ip", "-n", netns, "-batch", "-"], stdin="\n".join(lines))


@asynccontextmanager
async def lan(folder: Path) -> AsyncIterator[Lan]:
    """Nothing of it is left on the host afterwards."""
    made = Lan(folder, f"smvlan-{os.getpid()}")
    try:
        yield made
    finally:
        await made.close()
