"""The errors of calls and operations, each with its gRPC status and the remedy; those that pass by themselves. Pure."""

from __future__ import annotations

import grpc

from samovar.core.api_methods import is_read
from samovar.core.errors import CloudError

REMEDIES = {
    grpc.StatusCode.UNAUTHENTICATED: "the token or key is wrong or has expired: `doctor` says which one is used",
    grpc.StatusCode.PERMISSION_DENIED: "the account lacks a role on the folder: `doctor` lists who may do what",
    grpc.StatusCode.UNAVAILABLE: "nothing trusted answers there: see `cloud status`, YC_ENDPOINT and SSL_CERT_FILE",
    grpc.StatusCode.DEADLINE_EXCEEDED: "no answer in time: see `cloud status` and YC_ENDPOINT",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "a quota is used up: `doctor ENV` says by how much to have it raised",
    grpc.StatusCode.ALREADY_EXISTS: "one of that name is in the folder: rename or remove it, or choose another name",
    grpc.StatusCode.FAILED_PRECONDITION: "something else holds it: see `plan ENV`, and run the command again",
    grpc.StatusCode.UNIMPLEMENTED: "this cloud does not serve the method",
}


BY_CLIENT = "CLIENT: "
"""The beginning of the details where gRPC's own client refused, such as an answer that is too large."""


DISK_FULL = "No space is left on the disk"
"""How the local cloud refuses a call for which its host has no room."""


def _remedy(method: str, status: grpc.StatusCode, details: str) -> str:
    if details.startswith(BY_CLIENT):
        return "this is a limit of the client's own and no quota: ask for less at a time"
    if DISK_FULL in details:
        return "make room there, then run the command again: `doctor` shows how much is free"
    if is_throttled(method, status, details):
        return "the cloud refuses so many calls at a time: run the command again later"
    if status is grpc.StatusCode.ALREADY_EXISTS and method.startswith("ServiceAccountService."):
        return "names of service accounts are unique in the whole cloud: look for it in the cloud's other folders"
    return REMEDIES.get(status, "")


class CallFailed(CloudError):
    """A call that failed, with its gRPC status."""

    def __init__(self, method: str, status: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{method}: {status.name}: {details}", remedy=_remedy(method, status, details))
        self.method = method
        self.status = status
        self.details = details


class OperationFailed(CloudError):
    """An operation that the cloud ended with an error."""

    def __init__(self, what: str, operation_id: str, status: grpc.StatusCode, details: str) -> None:
        super().__init__(
            f"{what}: {status.name}: {details} (operation {operation_id})", remedy=REMEDIES.get(status, "")
        )
        self.operation_id = operation_id
        self.status = status


STATUS = {status.value[0]: status for status in grpc.StatusCode}


def call_failed(method: str, error: grpc.RpcError) -> CallFailed:
    """Return our error for gRPC's, whose object is a call as well. `method` is a short name."""
    return CallFailed(method, error.code(), error.details() or "no details")


def short_name(method: str) -> str:
    """Return `NetworkService.Create` for `/yandex.cloud.vpc.v1.NetworkService/Create`."""
    return method.rpartition(".")[2].replace("/", ".")


THROTTLED = 30.0
"""Seconds for a call that was refused because of too many calls. The provider of Terraform repeats these as well."""
ACTIVE_OPERATIONS = "maximum number of active operations"
"""Compute Cloud runs 15 operations a folder at a time, and refuses others with these words (yc-github-runner#700)."""
BUSY = 300.0
"""Seconds for a call that was refused because of them: a machine's operation takes a minute or more."""
CONFLICT = 60.0
"""Seconds for a change that met another one: bindings of one resource are changed one at a time."""
PROPAGATION = 30.0
"""Seconds after a change of access bindings in which a denied call is repeated.

"It usually takes 5 seconds or less to update access rights" (IAM's documentation, concepts/access-control).
"""
CONFLICTS = frozenset({grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION})
"""What a deletion meets while the cloud still frees what used the resource, or does something else with it."""
BINDING = ("SetAccessBindings", "UpdateAccessBindings")


def binds_roles(method: str) -> bool:
    """Return whether a method changes who may do what."""
    return method.endswith(BINDING)


def is_throttled(method: str, status: grpc.StatusCode, details: str) -> bool:
    """Return whether a call was refused because of too many calls or operations, and not because a quota is used up.

    A read takes nothing of a quota. That a quota's refusal names a quota or a limit is assumed.
    """
    names_a_quota = any(word in details.lower() for word in ("quota", "limit")) and ACTIVE_OPERATIONS not in details
    used_up = names_a_quota or DISK_FULL in details
    return status is grpc.StatusCode.RESOURCE_EXHAUSTED and (is_read(method) or not used_up)


def repeat_for(method: str, status: grpc.StatusCode, details: str, *, since_binding: float, unreached: float) -> float:
    """Return for how many seconds after its first attempt a failed call is repeated; 0 for not at all.

    `since_binding` are the seconds since this session last changed access bindings, `unreached` those for a call that
    reached no server.
    """
    if status is grpc.StatusCode.UNAVAILABLE:
        return unreached
    if ACTIVE_OPERATIONS in details:
        return BUSY
    if is_throttled(method, status, details) or (status is grpc.StatusCode.INTERNAL and is_read(method)):
        return THROTTLED
    if status is grpc.StatusCode.ABORTED:
        return CONFLICT
    if status is grpc.StatusCode.PERMISSION_DENIED and since_binding < PROPAGATION:
        return PROPAGATION
    return 0.0
