"""The values that `decide` works on: a group, its members, and what is observed of their machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum


class Status(IntEnum):
    """`ManagedInstance.Status` of yandex/cloud/compute/v1/instancegroup/instance_group.proto."""

    CREATING_INSTANCE = 11
    UPDATING_INSTANCE = 12
    DELETING_INSTANCE = 13
    STARTING_INSTANCE = 14
    STOPPING_INSTANCE = 15
    AWAITING_STARTUP_DURATION = 16
    CHECKING_HEALTH = 17
    OPENING_TRAFFIC = 18
    AWAITING_WARMUP_DURATION = 19
    CLOSING_TRAFFIC = 20
    RUNNING_ACTUAL = 21
    RUNNING_OUTDATED = 22
    STOPPED = 23
    DELETED = 24
    PREPARING_RESOURCES = 25


RUNNING = frozenset({Status.RUNNING_ACTUAL, Status.RUNNING_OUTDATED})
BOOTING = frozenset({Status.PREPARING_RESOURCES, Status.CREATING_INSTANCE, Status.STARTING_INSTANCE})
"""Compute is asked for a running machine and has not given it yet."""
STARTUP_PHASES = (Status.AWAITING_STARTUP_DURATION, Status.CHECKING_HEALTH, Status.OPENING_TRAFFIC)
"""The machine runs and is on its way to its first request."""
UP = RUNNING | frozenset(STARTUP_PHASES)
TEARDOWN = frozenset(
    {
        Status.CLOSING_TRAFFIC,
        Status.STOPPING_INSTANCE,
        Status.STOPPED,
        Status.UPDATING_INSTANCE,
        Status.DELETING_INSTANCE,
        Status.DELETED,
    }
)
"""The controller takes it down, stops it, or holds it down."""


class Compute(Enum):
    """The status of a member's instance in Compute. ABSENT: there is none (not yet, or no longer)."""

    ABSENT = "absent"
    PROVISIONING = "provisioning"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    UPDATING = "updating"
    STOPPING = "stopping"
    STOPPED = "stopped"
    CRASHED = "crashed"
    ERROR = "error"
    DELETING = "deleting"


class Effect(IntEnum):
    """The effect of a changed template on a machine made from the old one; more is worse."""

    NONE = 0
    LIVE = 1
    RESTART = 2
    RECREATE = 3


class Healing(IntEnum):
    """`AutoHealingPolicy.AutoHealingAction`; RESTART unless the group has another."""

    RESTART = 1
    RECREATE = 2
    NONE = 3


class GroupState(IntEnum):
    """`InstanceGroup.Status`."""

    STARTING = 1
    ACTIVE = 2
    STOPPING = 3
    STOPPED = 4
    DELETING = 5
    PAUSED = 6


class Goal(Enum):
    """The goal of a member once its machine is down. STAY: it serves, or is on its way to."""

    STAY = "stay"
    STOP = "stop"
    RESTART = "restart"
    RECREATE = "recreate"
    REMOVE = "leave"


@dataclass(frozen=True)
class TemplateHash:
    """A template as three values to compare, by what a change of each of them takes.

    live: name, labels, description, service account. restart: platform, resources, boot disk, metadata.
    recreate: network interfaces, secondary disks, scheduling (documented in deploy/instance.md). None: not known, for
    an update of the machine is under way; it equals no template.
    """

    live: str | None = ""
    restart: str | None = ""
    recreate: str | None = ""


@dataclass(frozen=True)
class Observed:
    """The state of a member's machine as it is observed at this moment; never stored.

    healthy: the group's own checks of this boot; None before their first verdict, or without checks.
    target_healthy: the balancer's own check of it. registered: it stands in the group's target group.
    """

    compute: Compute = Compute.ABSENT
    healthy: bool | None = None
    target_healthy: bool | None = None
    registered: bool = False


@dataclass(frozen=True)
class Member:
    """A managed instance: a place in the group, whose instance comes and goes.

    since: when `status` began, in seconds. template: the template that the instance was made from.
    attempts: how often it was created or started without serving for a while. requested: what its owner asked
    for (a rolling restart or recreation, a deletion), cleared when it begins. All but `observed` is stored.
    """

    id: str
    index: int
    index_in_zone: int
    zone: str
    tag: str
    status: Status
    since: float
    template: TemplateHash
    goal: Goal = Goal.STAY
    requested: Goal = Goal.STAY
    attempts: int = 0
    observed: Observed = Observed()


@dataclass(frozen=True)
class Zone:
    """A zone of the allocation policy; with a pool, each of its machines bears a tag of it, the first ones first."""

    id: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeployPolicy:
    """The deploy policy of a group. Durations are in seconds; a `max_creating` or `max_deleting` of 0 is no limit."""

    max_unavailable: int = 0
    max_expansion: int = 1
    max_creating: int = 0
    max_deleting: int = 0
    startup_duration: float = 0
    opportunistic: bool = False
    minimal_action: Effect = Effect.LIVE


@dataclass(frozen=True)
class Group:
    """A group as its owner specified it. Durations in seconds, 0 means without limit.

    opens_traffic: its target group is attached to a balancer, whose check is to be waited for.
    drain: how long a machine keeps running once its traffic is closed.
    """

    size: int
    zones: tuple[Zone, ...]
    template: TemplateHash
    deploy: DeployPolicy = field(default_factory=DeployPolicy)
    healing: Healing = Healing.RESTART
    state: GroupState = GroupState.STARTING
    has_checks: bool = False
    max_checking_health: float = 0
    has_target_group: bool = False
    opens_traffic: bool = False
    max_opening_traffic: float = 0
    drain: float = 0
