"""The actions that `decide` returns and the executor carries out."""

from __future__ import annotations

from dataclasses import dataclass

from samovar.localcloud.compute.instance_groups.state import Effect, GroupState, Member


@dataclass(frozen=True)
class CreateMember:
    """Store a new member under a new id (its own is empty). Its instance is made by the next decision."""

    member: Member


@dataclass(frozen=True)
class SaveMember:
    """Store the member (all but `observed`); its `status` may be the next one."""

    member: Member


@dataclass(frozen=True)
class DeleteMember:
    """Delete a member whose instance is deleted already."""

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
    """Change the group's own status."""

    state: GroupState


@dataclass(frozen=True)
class DeleteGroup:
    """Delete a group in DELETING whose last member is deleted."""


@dataclass(frozen=True)
class Log:
    """Write to the group's log why something begins. `id` is the member, or empty for the group itself."""

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
