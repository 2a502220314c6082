"""A host whose init is systemd: a machine is a transient service, and systemd keeps its control group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from samovar.core.process import run_async
from samovar.localcloud.machines.guest_proc import TASKS
from samovar.localcloud.machines.spec import Machine
from samovar.localcloud.machines.supervisor import BlockDevice

CGROUP2 = Path("/sys/fs/cgroup")


class Systemd:
    """Services `<prefix>-<machine>` in a slice of the cloud's own."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._slice = prefix.replace("-", "_") + ".slice"  # a dash would nest it in another slice

    def unit(self, machine_id: str) -> Path:
        return CGROUP2 / self._slice / self._service(machine_id)

    def groups(self, machine_id: str) -> tuple[Path, ...]:  # noqa: ARG002 - the unit does it all
        return ()

    def machines(self) -> frozenset[str]:
        head, tail = self._service("").split(".")
        services = (CGROUP2 / self._slice).glob(f"{head}*.{tail}")
        return frozenset(path.stem.removeprefix(head) for path in services)

    async def launch(
        self, machine: Machine, devices: Sequence[BlockDevice], argv: Sequence[str | Path], console: Path
    ) -> None:
        head = ["systemd-run", "--quiet", "--collect", f"--unit={self._service(machine.id)}", f"--slice={self._slice}"]
        settings = [f"--property={setting}" for setting in _settings(machine, devices)]
        await run_async([*head, *settings, f"--property=StandardOutput=truncate:{console}", *argv])

    async def release(self, machine_id: str) -> None:
        await _stop(self._service(machine_id))

    async def close(self) -> None:
        await _stop(self._slice)

    def _service(self, machine_id: str) -> str:
        return f"{self._prefix}-{machine_id}.service"


def _settings(machine: Machine, devices: Sequence[BlockDevice]) -> Iterator[str]:
    yield "Type=exec"
    yield "Delegate=yes"
    yield f"MemoryMax={machine.memory}"
    yield "MemorySwapMax=0"
    yield f"CPUQuota={machine.cores * machine.core_fraction}%"
    yield f"TasksMax={TASKS}"
    yield "OOMPolicy=continue"
    yield "KillSignal=SIGKILL"  # at the host's shutdown; a guest's processes would not end by SIGTERM
    yield "DevicePolicy=closed"
    yield "DeviceAllow=/dev/net/tun rwm"
    for device in devices:
        yield f"DeviceAllow={device.path} {'rw' if device.writable else 'r'}"


async def _stop(unit: str) -> None:
    """Returns once the unit is gone. As a pattern, which may match nothing: a unit that is gone is no error."""
    await run_async(["systemctl", "stop", unit[:-1] + f"[{unit[-1]}]"])
