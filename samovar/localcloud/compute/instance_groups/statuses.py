"""The life cycle of a managed instance: its statuses in the documented order, and what may follow what."""

from __future__ import annotations

from enum import IntEnum


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
# Compute is asked for a running machine and has not given it yet.
BOOTING = frozenset({Status.PREPARING_RESOURCES, Status.CREATING_INSTANCE, Status.STARTING_INSTANCE})
# The machine runs and is on its way to its first request.
RISING = (Status.AWAITING_STARTUP_DURATION, Status.CHECKING_HEALTH, Status.OPENING_TRAFFIC)
UP = RUNNING | frozenset(RISING)
# The group's own hand takes it down, stops it, or holds it down.
FALLING = frozenset(
    {
        Status.CLOSING_TRAFFIC,
        Status.STOPPING_INSTANCE,
        Status.STOPPED,
        Status.UPDATING_INSTANCE,
        Status.DELETING_INSTANCE,
        Status.DELETED,
    },
)

_DOWN = frozenset({Status.CLOSING_TRAFFIC, Status.STOPPING_INSTANCE, Status.STOPPED})
_RISE = frozenset(RISING)

# A phase without anything to wait for (no startup duration, no checks, no target group) is left out.
EDGES: dict[Status, frozenset[Status]] = {
    Status.PREPARING_RESOURCES: frozenset({Status.CREATING_INSTANCE}) | _DOWN,
    Status.CREATING_INSTANCE: _RISE | RUNNING | _DOWN,
    Status.STARTING_INSTANCE: _RISE | RUNNING | _DOWN,
    Status.AWAITING_STARTUP_DURATION: frozenset(RISING[1:]) | RUNNING | _DOWN,
    Status.CHECKING_HEALTH: frozenset(RISING[2:]) | RUNNING | _DOWN,
    Status.OPENING_TRAFFIC: RUNNING | _DOWN,
    # A live update touches a machine that goes on serving.
    Status.RUNNING_ACTUAL: frozenset({Status.RUNNING_OUTDATED}) | _DOWN,
    Status.RUNNING_OUTDATED: frozenset({Status.RUNNING_ACTUAL, Status.UPDATING_INSTANCE}) | _DOWN,
    Status.CLOSING_TRAFFIC: frozenset({Status.STOPPING_INSTANCE, Status.STOPPED}),
    Status.STOPPING_INSTANCE: frozenset({Status.STOPPED}),
    Status.STOPPED: frozenset({Status.UPDATING_INSTANCE, Status.STARTING_INSTANCE, Status.DELETING_INSTANCE}),
    Status.UPDATING_INSTANCE: frozenset({Status.STARTING_INSTANCE, Status.STOPPING_INSTANCE, Status.STOPPED}) | RUNNING,
    Status.DELETING_INSTANCE: frozenset({Status.PREPARING_RESOURCES, Status.DELETED}),
    Status.DELETED: frozenset(),
}
