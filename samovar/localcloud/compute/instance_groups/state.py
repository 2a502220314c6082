"""What a group is, what is seen of its machines, and what may be done about them. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

from samovar.localcloud.compute.instance_groups.statuses import Status


class Compute(Enum):
    """What Compute says of a member's instance. ABSENT: there is none (not yet, or no longer)."""

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
    """What a change of the template does to a machine made from the old one; more is worse."""

    NONE = 0
    LIVE = 1
    RESTART = 2
    RECREATE = 3


class Healing(IntEnum):
    """`AutoHealingPolicy.AutoHealingAction`; RESTART unless the group says otherwise."""

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
    """Where a member is going once it is down. STAY: nowhere, it serves or is on its way to."""

    STAY = "stay"
    STOP = "stop"
    RESTART = "restart"
    RECREATE = "recreate"
    LEAVE = "leave"


@dataclass(frozen=True)
class Facets:
    """A template as three values to compare, by what a change of each of them takes.

    live: name, labels, description, service account. restart: platform, resources, boot disk, metadata.
    recreate: network interfaces, secondary disks, scheduling (documented in deploy/instance.md). None: not known, for
    an update of the machine is under way; it equals no template.
    """

    live: str | None = ""
    restart: str | None = ""
    recreate: str | None = ""


@dataclass(frozen=True)
class Seen:
    """What is observed of a member's machine at this moment; never stored.

    healthy: the group's own checks of this boot; None before their first verdict, or without checks.
    target_healthy: the balancer's eye on it. registered: it stands in the group's target group.
    """

    compute: Compute = Compute.ABSENT
    healthy: bool | None = None
    target_healthy: bool | None = None
    registered: bool = False


@dataclass(frozen=True)
class Member:
    """A managed instance: a place in the group, whose instance comes and goes.

    since: when `status` began, in seconds. facets: the template that the instance was made from.
    attempts: how often it was created or started since it last served. requested: what its owner asked for
    (a rolling restart or recreation, a deletion), cleared when it begins. All but `seen` is stored.
    """

    id: str
    index: int
    index_in_zone: int
    zone: str
    tag: str
    status: Status
    since: float
    facets: Facets
    goal: Goal = Goal.STAY
    requested: Goal = Goal.STAY
    attempts: int = 0
    seen: Seen = Seen()


@dataclass(frozen=True)
class Zone:
    """A zone of the allocation policy; with a pool, each of its machines bears a tag of it, the first ones first."""

    id: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeployPolicy:
    """`DeployPolicy`; durations in seconds; of `max_creating` and `max_deleting` 0 means no limit."""

    max_unavailable: int = 0
    max_expansion: int = 1
    max_creating: int = 0
    max_deleting: int = 0
    startup_duration: float = 0
    opportunistic: bool = False
    minimal_action: Effect = Effect.LIVE


@dataclass(frozen=True)
class Group:
    """What the owner wants. Durations in seconds, 0 means without limit.

    opens_traffic: its target group is attached to a balancer whose verdict is to be waited for.
    drain: how long a machine keeps running once its traffic is closed.
    """

    size: int
    zones: tuple[Zone, ...]
    facets: Facets
    deploy: DeployPolicy = field(default_factory=DeployPolicy)
    healing: Healing = Healing.RESTART
    state: GroupState = GroupState.STARTING
    has_checks: bool = False
    max_checking_health: float = 0
    has_target_group: bool = False
    opens_traffic: bool = False
    max_opening_traffic: float = 0
    drain: float = 0


@dataclass(frozen=True)
class CreateMember:
    """A new place in the group: store it under a new id (its own is empty). Its instance comes by the next call."""

    member: Member


@dataclass(frozen=True)
class SaveMember:
    """The member's record (all but `seen`) as it is from now on; `status` may have moved along one edge."""

    member: Member


@dataclass(frozen=True)
class DeleteMember:
    """The place is given up; its instance is gone already."""

    id: str


@dataclass(frozen=True)
class CreateInstance:
    """Make and boot an instance for the member, by the group's current template."""

    id: str


@dataclass(frozen=True)
class StartInstance:
    """Boot the stopped instance."""

    id: str


@dataclass(frozen=True)
class StopInstance:
    """Stop it as Compute does: the guest has 30 s, then its power is cut."""

    id: str


@dataclass(frozen=True)
class DeleteInstance:
    """Delete it with the disks that the group made."""

    id: str


@dataclass(frozen=True)
class UpdateInstance:
    """Bring the instance to the current template: `effect` LIVE while it runs, RESTART while it is stopped."""

    id: str
    effect: Effect


@dataclass(frozen=True)
class AddTarget:
    """Put the instance's address into the group's target group."""

    id: str


@dataclass(frozen=True)
class RemoveTarget:
    """Take the instance's address out of the group's target group."""

    id: str


@dataclass(frozen=True)
class SetGroupState:
    """The group's own status changes."""

    state: GroupState


@dataclass(frozen=True)
class DeleteGroup:
    """The last member of a group in DELETING is gone, so the group goes."""


@dataclass(frozen=True)
class Log:
    """A record of the group's log: why something begins. `id` is the member, or empty for the group itself."""

    id: str
    text: str


Action = (
    CreateMember
    | SaveMember
    | DeleteMember
    | CreateInstance
    | StartInstance
    | StopInstance
    | DeleteInstance
    | UpdateInstance
    | AddTarget
    | RemoveTarget
    | SetGroupState
    | DeleteGroup
    | Log
)
