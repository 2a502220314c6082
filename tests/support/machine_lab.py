"""A lab of machines that a driver boots without a cloud above it: alone, or on one bridge."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from samovar.core.constants import GIB, MIB
from samovar.core.errors import ProcessFailed
from samovar.core.process import run
from samovar.core.waiting import Pending, wait_for_async
from samovar.localcloud.machines.driver import NspawnDriver
from samovar.localcloud.machines.model import DataDisk, Machine
from tests.support.leftovers import leftovers
from tests.support.run_in_machine import in_machine

CHECKER = "198.18.235.2"
"""The source of a cloud's health checks."""
SLOW = 20
"""How many times slower than here a host may be, emulated and busy, before a test calls it a fault."""
COMMAND_TIMEOUT = 20 * SLOW

# The script is debugfs(8)'s. Instead of the agent its dry run renders the role's files, with peers at 10.0.0.11 and on.
WITH_ROLE = """\
rm etc/systemd/system/samovar-agent.service
write {folder}/agent.service etc/systemd/system/samovar-agent.service
write {folder}/settings etc/samovar-trial
rm etc/systemd/network/00-samovar.network
write {folder}/network etc/systemd/network/00-samovar.network
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
class MachineLab:
    """A driver on a folder of its own, and the machines that the test made; each has a cable to nothing."""

    home: Path
    prefix: str
    image: Path | None = None
    netns: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("machines", "disks", "images"):
            (self.home / name).mkdir()
        self.driver = self.another_driver()

    def another_driver(self) -> NspawnDriver:
        return NspawnDriver(self.home / "machines", self.prefix)

    def machine(
        self,
        name: str,
        image: Path | None = None,
        *,
        memory: int = 512 * MIB,
        cores: int = 1,
        disks: tuple[DataDisk, ...] = (),
        hostname: str = "",
    ) -> Machine:
        """Return a machine of the image given, or of the lab's."""
        source = image or self.image
        assert source is not None
        return Machine(
            id=name,
            hostname=hostname or f"host-{name}",
            image=source,
            boot_disk=self.home / "disks" / f"{name}.raw",
            boot_disk_size=3 * GIB,
            cores=cores,
            core_fraction=100,
            memory=memory,
            netns=self._plugged(name),
            disks=disks,
        )

    async def boot(self, machine: Machine) -> int:
        """Start a machine and wait until its systemd is done; return its init's pid."""
        await self.driver.start(machine)
        await self.wait_for_command(machine, "systemctl is-system-running", timeout=30 * SLOW)
        return self.pid(machine)

    def data_disk(self, name: str = "data", size: int = GIB, device_name: str = "data") -> DataDisk:
        """Return a data disk, blank at first. A machine with a data disk has the host's users."""
        path = self.home / "disks" / f"{name}.raw"
        with path.open("ab") as sparse:
            sparse.truncate(size)
        return DataDisk(device_name, path)

    def pid(self, machine: Machine) -> int:
        pid = self.driver.observe()[machine.id].pid
        assert pid is not None
        return pid

    def inside(self, machine: Machine, command: str) -> str:
        """Return the output of a command in the guest's namespaces, as the guest's root."""
        return run([*self._enter(machine), "bash", "-ec", command], timeout=COMMAND_TIMEOUT).stdout.strip()

    def as_service(self, machine: Machine, command: str) -> str:
        """Return the output of a service of the guest, which has the machine's size and device policy."""
        service = ["systemd-run", "--quiet", "--wait", "--pipe", "--service-type=exec", "bash", "-ec", command]
        return run([*self._enter(machine), *service], timeout=COMMAND_TIMEOUT).stdout.strip()

    async def wait_for_command(self, machine: Machine, command: str, *, timeout: float = COMMAND_TIMEOUT) -> float:
        """Return the seconds until the command succeeds in the machine."""
        began = time.monotonic()

        def succeeded() -> bool | Pending:
            try:
                return bool(self.inside(machine, f"{command} && echo done"))
            except ProcessFailed as error:
                return Pending(error.output)

        await wait_for_async(f"{machine.id}: {command}", succeeded, timeout=timeout, interval=0.05, ceiling=0.2)
        return time.monotonic() - began

    async def close(self) -> None:
        """Remove the machines; nothing of them may be left."""
        for machine_id in self.driver.observe():
            await self.driver.remove(machine_id)
        await self.driver.close()
        for name in self.netns:
            run(["ip", "netns", "del", name])
        assert leftovers(self.home, self.prefix) == []

    def _enter(self, machine: Machine) -> list[str]:
        return in_machine(self.pid(machine))

    def _plugged(self, name: str) -> str:
        """Make a machine's network namespace once, with a cable to another one that is empty."""
        if f"{self.prefix}-{name}" not in self.netns:
            netns, far_end = self._namespace(name), self._namespace(f"{name}-port")
            _ip(netns, f"link add eth0 type veth peer name port0 netns {far_end}")
            _ip(far_end, "link set port0 up")
        return f"{self.prefix}-{name}"

    def _namespace(self, name: str) -> str:
        netns = f"{self.prefix}-{name}"
        run(["ip", "netns", "add", netns])
        self.netns.append(netns)
        return netns


@dataclass
class BridgedLab(MachineLab):
    """Machines on one bridge, which lies in a network namespace of its own and has the address 10.0.0.1.

    Each image tells its machine the role and settings that the agent would have read.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.bridge = self._namespace("lan")
        _ip(self.bridge, "link add br0 type bridge", "address add 10.0.0.1/24 dev br0", "link set br0 up")
        _ip(self.bridge, f"address add {CHECKER}/32 dev br0")

    def with_role(self, image: Path, role: str, address: str, settings: str) -> Path:
        """Return a copy of an image whose machines have that role, address and settings."""
        folder = self.home / "images" / f"{role}-{len(list((self.home / 'images').iterdir()))}"
        folder.mkdir()
        (folder / "agent.service").write_text(AGENT.format(role=role))
        (folder / "network").write_text(NETWORK.format(address=address))
        (folder / "settings").write_text(settings)
        (folder / "script").write_text(WITH_ROLE.format(folder=folder))
        run(["cp", "--sparse=always", image, folder / "raw"])
        run(["debugfs", "-w", "-f", folder / "script", folder / "raw"])
        return folder / "raw"

    def from_bridge(self, *command: str) -> str:
        """Return the output of a command at 10.0.0.1."""
        return run(["ip", "netns", "exec", self.bridge, *command], timeout=COMMAND_TIMEOUT).stdout

    def _plugged(self, name: str) -> str:
        netns = self._namespace(name)
        _ip(netns, f"link add eth0 type veth peer name port-{name} netns {self.bridge}")
        _ip(self.bridge, f"link set port-{name} master br0 up")
        return netns


@asynccontextmanager
async def machine_lab(home: Path, image: Path) -> AsyncIterator[MachineLab]:
    """Yield a lab, which leaves nothing on the host afterwards."""
    lab = MachineLab(home, f"smvtest-{os.getpid()}", image)
    try:
        yield lab
    finally:
        await lab.close()


@asynccontextmanager
async def bridged_lab(home: Path) -> AsyncIterator[BridgedLab]:
    """Yield a lab with a bridge, which leaves nothing on the host afterwards."""
    lab = BridgedLab(home, f"smvlan-{os.getpid()}")
    try:
        yield lab
    finally:
        await lab.close()


def _ip(netns: str, *lines: str) -> None:
    run(["ip", "-n", netns, "-batch", "-"], stdin="\n".join(lines))
