"""The status of the cloud as the admin API answers it, and the warnings in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from yandex.cloud.compute.v1.instance_pb2 import Instance

from samovar.core.errors import command_line
from samovar.core.kernel import shortages
from samovar.localcloud.machines.model import Observed


@dataclass(frozen=True)
class MachineStatus:
    """A machine as `cloud status` shows it: its instance, and the pid of its init on the host."""

    id: str
    name: str
    hostname: str
    status: str
    running: bool
    pid: int | None


@dataclass(frozen=True)
class NetworkStatus:
    """A network that the host holds now, with the ranges of its subnets."""

    id: str
    subnets: tuple[str, ...]


class ProfileStatus(Protocol):
    """The profile that calls meet, by `cloud up --like NAME --pace PACE --seed SEED`."""

    @property
    def name(self) -> str: ...

    @property
    def pace(self) -> float: ...

    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class CloudStatus:
    """The status of the cloud; its fields are those of the admin API's answer."""

    simulated: bool
    profile: ProfileStatus | None
    warnings: tuple[str, ...]
    machines: tuple[MachineStatus, ...]
    networks: tuple[NetworkStatus, ...]


def machine_status(instance: Instance, observed: Observed | None) -> MachineStatus:
    """Return the status of an instance, and of its machine where the host has one."""
    return MachineStatus(
        id=instance.id,
        name=instance.name,
        hostname=instance.fqdn.split(".")[0],
        status=Instance.Status.Name(instance.status),
        running=observed is not None and observed.running,
        pid=observed.pid if observed else None,
    )


def limit_warnings(machines: int) -> Iterator[str]:
    """Yield each of the kernel's limits that is too low for so many machines."""
    for shortage in shortages(machines):
        yield f"not every machine may start: {shortage}; `doctor` says how to raise it"


def host_user_warnings(instances: Iterable[Instance], reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield each machine that has the users of this host; `reasons` says why, by the machines' ids."""
    for instance in instances:
        if instance.id in reasons:
            yield (
                f"{instance.name} has the users of this host, for {reasons[instance.id]}: "
                "root in it could become root on the host, so run there only what you trust"
            )


def device_warnings(reason: str) -> Iterator[str]:
    """Yield that the host's devices are open to machines; `reason` says why, and is empty where they are not."""
    if reason:
        yield (
            f"{reason}: root in a machine with the users of this host can open every block device of it, so run there "
            "only what you trust"
        )


def fault_warnings(faults: int) -> Iterator[str]:
    """Yield that calls fail on request, if there are such faults."""
    if faults:
        listed, cleared = command_line("cloud fault list"), command_line("cloud fault clear")
        yield f"faults on request: {faults}; `{listed}` shows them, `{cleared}` ends them"


def unknown_machine(machine_id: str) -> str:
    """Return what is said of a machine that the store does not know."""
    return (
        f"machine {machine_id} is unknown to the store, which is older than it: it is being shut down, and no other "
        "machine starts meanwhile; where this stays, daemon.log says why"
    )


class Notices:
    """One set of texts for each source; each text names what happened, where, and the remedy."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[str, ...]] = {}

    def report(self, source: str, *texts: str) -> None:
        """Replace the text that `source` reported before; an empty text withdraws it."""
        self._texts[source] = texts

    def all(self) -> tuple[str, ...]:
        """Every text that holds now, in the order in which their sources first reported."""
        return tuple(text for texts in self._texts.values() for text in texts)
