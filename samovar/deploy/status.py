"""What an environment is now: its groups, their machines, and who answers; the value and its documented JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired

from typing_extensions import TypedDict

HEALTHY = "HEALTHY"
RUNNING = "RUNNING_ACTUAL"


@dataclass(frozen=True)
class MachineStatus:
    """A machine: `status` in its group's eyes, `balancer` in the balancer's (None where there is none).

    `said` is the last that it said of itself, or else the cloud of it, where it is not well.
    """

    name: str
    zone: str
    address: str
    status: str
    image: str
    balancer: str | None
    pid: int | None = None
    said: str | None = None

    @property
    def healthy(self) -> bool:
        """Whether the group and, where there is one, the balancer are content with it."""
        return self.status == RUNNING and self.balancer in (None, HEALTHY)


@dataclass(frozen=True)
class GroupStatus:
    """A group: `size` is how many machines are wanted, `image` the one that new machines are made from."""

    name: str
    size: int
    image: str | None
    machines: tuple[MachineStatus, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether exactly the machines that are wanted are there and healthy."""
        return len(self.machines) == self.size and all(machine.healthy for machine in self.machines)

    def summary(self) -> str:
        """One line on how far it is."""
        fine = sum(machine.healthy for machine in self.machines)
        others = [f"{machine.name} {_state(machine)}" for machine in self.machines if not machine.healthy]
        return f"{self.name}: {fine} of {self.size} healthy{''.join(f', {other}' for other in others)}"


@dataclass(frozen=True)
class Status:
    """The whole environment. `endpoints` are pairs of scheme and URL, `unanswered` of URL and what is wrong there.

    `warnings` are for the operator to read.
    Machines that are `simulated` are states alone: nobody answers at the endpoints.
    """

    environment: str
    groups: tuple[GroupStatus, ...]
    endpoints: tuple[tuple[str, str], ...] = ()
    unanswered: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    simulated: bool = False

    @property
    def healthy(self) -> bool:
        """Whether there are groups, each is healthy, and nothing is wrong with an address."""
        return bool(self.groups) and all(group.healthy for group in self.groups) and not self.unanswered

    def to_json(self) -> StatusJson:
        found: StatusJson = {
            "environment": self.environment,
            "healthy": self.healthy,
            "endpoints": {"http": self._urls("http"), "https": self._urls("https")},
            "groups": [_group_json(group) for group in self.groups],
            "warnings": list(self.warnings),
        }
        if self.simulated:
            found["simulated"] = True
        if self.unanswered:
            found["unanswered"] = [{"url": url, "reason": reason} for url, reason in self.unanswered]
        return found

    def _urls(self, scheme: str) -> list[str]:
        return [url for found, url in self.endpoints if found == scheme]


class MachineJson(TypedDict):
    """A machine: `status` in its group's eyes, in the words of the API, `balancer` in its balancer's (null: none).

    `pid` is that of its init on this host, there where the cloud is the local one and the machine runs.
    `said` is there of a machine that is not well: the last that it said of itself, or else the cloud of it.
    """

    name: str
    zone: str
    address: str
    status: str
    image: str
    balancer: str | None
    pid: NotRequired[int]
    said: NotRequired[str]


class GroupJson(TypedDict):
    """A group: `size` is how many machines are wanted, `image` the one of new machines (null: not rolled out)."""

    name: str
    size: int
    healthy: bool
    image: str | None
    machines: list[MachineJson]


class EndpointsJson(TypedDict):
    """The URLs of the external balancers' listeners."""

    http: list[str]
    https: list[str]


class UnansweredJson(TypedDict):
    """A URL that this environment's machines do not answer from here, and what is seen instead."""

    url: str
    reason: str


class StatusJson(TypedDict):
    """An environment: `healthy` where each group has just the machines wanted, all well, and every address answers.

    One without groups is not. `unanswered` is there where an address does not answer, which is asked last.
    `warnings` say what is to be known beside that, such as rows on a data disk that are not recorded yet.
    `simulated` is there where machines are states alone: then no address answers, and none is asked.
    """

    environment: str
    healthy: bool
    endpoints: EndpointsJson
    unanswered: NotRequired[list[UnansweredJson]]
    simulated: NotRequired[bool]
    groups: list[GroupJson]
    warnings: list[str]


def _group_json(group: GroupStatus) -> GroupJson:
    return {
        "name": group.name,
        "size": group.size,
        "healthy": group.healthy,
        "image": group.image,
        "machines": [_machine_json(machine) for machine in group.machines],
    }


def _machine_json(machine: MachineStatus) -> MachineJson:
    found: MachineJson = {
        "name": machine.name,
        "zone": machine.zone,
        "address": machine.address,
        "status": machine.status,
        "image": machine.image,
        "balancer": machine.balancer,
    }
    if machine.pid is not None:
        found["pid"] = machine.pid
    if machine.said is not None:
        found["said"] = machine.said
    return found


def _state(machine: MachineStatus) -> str:
    state = machine.status if machine.status != RUNNING else f"{machine.balancer} for the balancer"
    return f"{state} ({machine.said})" if machine.said else state
