"""The status of the cloud as the admin API answers it, and the warnings in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from yandex.cloud.compute.v1.instance_pb2 import Instance

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
    """Returns the status of an instance, and of its machine where the host has one."""
    return MachineStatus(
        id=instance.id,
        name=instance.name,
        hostname=instance.fqdn.split(".")[0],
        status=Instance.Status.Name(instance.status),
        running=observed is not None and observed.running,
        pid=observed.pid if observed else None,
    )


class Notices:
    """One set of texts for each source; each text names what happened, where, and the remedy."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[str, ...]] = {}

    def report(self, source: str, *texts: str) -> None:
        """Replaces what `source` reported before; without a text it withdraws that."""
        self._texts[source] = texts

    def all(self) -> tuple[str, ...]:
        """Every text that holds now, in the order in which their sources first reported."""
        return tuple(text for texts in self._texts.values() for text in texts)
