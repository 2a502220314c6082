"""Machines that a driver boots, without a network and without a cloud above it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from samovar.core.errors import ProcessFailed
from samovar.core.process import run
from samovar.core.waiting import Pending, wait_for_async
from samovar.localcloud.machines.driver import NspawnDriver
from samovar.localcloud.machines.model import DataDisk, Machine

MIB = 1 << 20
SLOW = 60
"""How many times slower than here a host may be, emulated and busy, before a test calls it a fault."""


@dataclass
class Cloud:
    """A driver on a folder of its own, and the machines that the test made."""

    home: Path
    prefix: str
    image: Path
    netns: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in ("machines", "disks"):
            (self.home / folder).mkdir()
        self.driver = self.another_driver()

    def another_driver(self) -> NspawnDriver:
        return NspawnDriver(self.home / "machines", self.prefix)

    def machine(
        self, name: str, *, memory: int = 512 * MIB, cores: int = 1, disks: tuple[DataDisk, ...] = ()
    ) -> Machine:
        netns, cable = f"{self.prefix}-{name}", f"{self.prefix}-{name}-port"
        if netns not in self.netns:
            for made in (netns, cable):
                run(["ip", "netns", "add", made])
                self.netns.append(made)
            run(["ip", "-n", netns, "link", "add", "eth0", "type", "veth", "peer", "name", "port0", "netns", cable])
            run(["ip", "-n", cable, "link", "set", "port0", "up"])
        return Machine(
            id=name,
            hostname=f"host-{name}",
            image=self.image,
            boot_disk=self.home / "disks" / f"{name}.raw",
            boot_disk_size=3 << 30,
            cores=cores,
            core_fraction=100,
            memory=memory,
            netns=netns,
            disks=disks,
        )

    async def boot(self, machine: Machine) -> int:
        """Starts it and waits until its systemd is done; returns its init's pid."""
        await self.driver.start(machine)
        pid = self.pid(machine)

        def state() -> bool | Pending:
            try:
                return bool(run(["nsenter", "-a", "-t", str(pid), "systemctl", "is-system-running"]))
            except ProcessFailed as error:
                return Pending(error.output)

        await wait_for_async(f"systemd of {machine.id}", state, timeout=10 * SLOW, interval=0.05, ceiling=0.2)
        return pid

    def data_disk(self) -> DataDisk:
        """A blank one. A machine with a data disk has the host's users."""
        disk = DataDisk("data", self.home / "disks/data.raw")
        with disk.path.open("ab") as sparse:
            sparse.truncate(1 << 30)
        return disk

    def pid(self, machine: Machine) -> int:
        pid = self.driver.observe()[machine.id].pid
        assert pid is not None
        return pid

    def inside(self, machine: Machine, command: str) -> str:
        """What the command says; it runs as a service of the guest, behind its fence and within its size."""
        guest = ["nsenter", "-a", "-t", str(self.pid(machine))]
        service = ["systemd-run", "--quiet", "--wait", "--pipe", "--service-type=exec", "bash", "-ec", command]
        return run([*guest, *service], timeout=20 * SLOW).stdout.strip()
