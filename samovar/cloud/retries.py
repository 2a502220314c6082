"""The failed calls that are repeated, and for how long: failures that pass by themselves on a large cloud. Pure."""

from __future__ import annotations

import grpc

UNREACHED = 1.0
"""Seconds for a call that reached no server."""
THROTTLED = 30.0
"""Seconds for a read that was refused because of too many calls. The provider of Terraform repeats these as well."""
CONFLICT = 60.0
"""Seconds for a change that met another one: bindings of one resource are changed one at a time."""
PROPAGATION = 30.0
"""Seconds after a change of access bindings in which a denied call is repeated.

"It usually takes 5 seconds or less to update access rights" (IAM's documentation, concepts/access-control).
"""
READING = ("Get", "List")
BINDING = ("SetAccessBindings", "UpdateAccessBindings")


def is_read(method: str) -> bool:
    """Return whether a method, by its full or its short name, changes nothing."""
    return method.rpartition("/")[2].rpartition(".")[2].startswith(READING)


def binds_roles(method: str) -> bool:
    """Return whether a method changes who may do what."""
    return method.endswith(BINDING)


def repeat_for(method: str, status: grpc.StatusCode, since_binding: float) -> float:
    """Return for how many seconds after its first attempt a failed call is repeated; 0 for not at all.

    `since_binding` are the seconds since this session last changed access bindings.
    """
    if status is grpc.StatusCode.UNAVAILABLE:
        return UNREACHED
    if status is grpc.StatusCode.RESOURCE_EXHAUSTED and is_read(method):
        return THROTTLED
    if status is grpc.StatusCode.ABORTED:
        return CONFLICT
    if status is grpc.StatusCode.PERMISSION_DENIED and since_binding < PROPAGATION:
        return PROPAGATION
    return 0.0
