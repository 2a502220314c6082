"""The status of an environment: its groups, their machines, and the endpoints that answer.

`status -o json` is these values, and its JSON Schema is that of these classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import computed_field

HEALTHY = "HEALTHY"
RUNNING, OUTDATED = "RUNNING_ACTUAL", "RUNNING_OUTDATED"
LEAVING = frozenset({"CLOSING_TRAFFIC", "STOPPING_INSTANCE", "DELETING_INSTANCE", "STOPPED", "DELETED"})
"""The states of machines that their group takes away, or starts again."""
FIGURES = re.compile(r"\d+")


def without_figures(message: str) -> str:
    """Return a machine's message without what differs each time it is told: times, process ids."""
    return FIGURES.sub("", message)


@dataclass(frozen=True)
class MachineStatus:
    """A machine. `status` is the group's, in the words of the API; `balancer` the target's (null: no balancer).

    `pid` is that of its init on this host, where the cloud is the local one and the machine runs. `message` is there
    for a machine that is not healthy: the last one on its console that says what is wrong, else the cloud's. `id` is
    that of the instance, and `created_at` its time in RFC 3339; another machine of the same name has others.
    """

    name: str
    zone: str
    address: str
    status: str
    image: str
    balancer: str | None
    pid: int | None = None
    message: str | None = None
    id: str = ""
    created_at: str | None = None

    @property
    def healthy(self) -> bool:
        """True where the machine is healthy for its group and, where there is one, for its balancer."""
        return self.status == RUNNING and self.balancer in (None, HEALTHY)

    @property
    def up(self) -> bool:
        """True where the machine is healthy for its group, whatever its image."""
        return self.status in {RUNNING, OUTDATED}

    def problem(self) -> str:
        """Return why the machine is not healthy."""
        state = self.status if self.status != RUNNING else f"{self.balancer} for the balancer"
        return f"{state} ({self.message})" if self.message else state


@dataclass(frozen=True)
class GroupStatus:
    """A group. `size` is the desired number of machines, `image` that of new machines, `id` the cloud's for the group.

    The last two are null where it was not rolled out.
    """

    name: str
    size: int
    image: str | None
    machines: tuple[MachineStatus, ...] = ()
    id: str | None = None

    @computed_field  # type: ignore[prop-decorator] # as pydantic's documentation has it
    @property
    def healthy(self) -> bool:
        """True where the group has exactly the desired number of machines, all healthy."""
        return len(self.machines) == self.size and all(machine.healthy for machine in self.machines)

    def summary(self) -> str:
        """Return one line with the number of healthy machines and the problems of the others."""
        healthy = sum(machine.healthy for machine in self.machines)
        others = [f", {machine.name} {machine.problem()}" for machine in self.machines if not machine.healthy]
        return f"{self.name}: {healthy} of {self.size} healthy{''.join(others)}"


@dataclass(frozen=True)
class Endpoints:
    """The URLs of the external load balancers' listeners, by scheme; `tcp://ADDRESS:PORT` where none is known."""

    http: tuple[str, ...] = ()
    https: tuple[str, ...] = ()
    tcp: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.http, *self.https, *self.tcp)


@dataclass(frozen=True)
class Unanswered:
    """A URL that this environment's machines do not answer from here, or at which no balancer listens, and why."""

    url: str
    reason: str


@dataclass(frozen=True)
class Status:
    """An environment. `unanswered` are endpoints that do not answer; they are asked when the groups are healthy.

    Listeners that the environment's file states and the cloud does not have are among them in any case.
    `warnings` are for the operator, such as data disks whose rows are not recorded yet. Where the machines are
    `simulated`, they are states alone: no endpoint answers, and none is asked.
    """

    environment: str
    groups: tuple[GroupStatus, ...]
    endpoints: Endpoints = Endpoints()
    unanswered: tuple[Unanswered, ...] = ()
    warnings: tuple[str, ...] = ()
    simulated: bool = False

    @computed_field  # type: ignore[prop-decorator] # as pydantic's documentation has it
    @property
    def healthy(self) -> bool:
        """True where there are groups, all are healthy, and no endpoint fails to answer."""
        return self.groups_healthy and not self.unanswered

    @property
    def machines(self) -> tuple[MachineStatus, ...]:
        """The machines of all groups."""
        return tuple(machine for group in self.groups for machine in group.machines)

    @property
    def groups_healthy(self) -> bool:
        """True where there are groups, and all are healthy."""
        return bool(self.groups) and all(group.healthy for group in self.groups)

    def summary(self) -> str:
        """Return one line with the groups that are not healthy and the addresses that do not answer."""
        groups = (group.summary() for group in self.groups if not group.healthy)
        return "; ".join((*groups, *(f"{each.url} {each.reason}" for each in self.unanswered)))

    @property
    def healthy_groups(self) -> Mapping[str, str]:
        """The name of the image that each healthy group runs on."""
        return {group.name: group.machines[0].image for group in self.groups if group.healthy and group.machines}
