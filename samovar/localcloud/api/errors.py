"""Errors of the API: a status code, a message in the API's own style, and the fields that broke a constraint."""

from __future__ import annotations

from dataclasses import dataclass

from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status


@dataclass(frozen=True)
class Violation:
    """One field of a request that breaks a constraint; `field` is its path, as `boot_disk_spec.disk_spec.size`."""

    field: str
    description: str


class Refused(Exception):
    """Ends a call with a status; its transaction is rolled back. A service may raise it anywhere."""

    def __init__(self, code: int, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.violations = violations


def not_found(noun: str, resource_id: str) -> Refused:
    """Return NOT_FOUND, in the API's words."""
    return Refused(Code.NOT_FOUND, f"{noun} {resource_id} not found")


def invalid(message: str, field: str = "") -> Refused:
    """Return INVALID_ARGUMENT, of one field where that is known."""
    return Refused(Code.INVALID_ARGUMENT, message, (Violation(field, message),) if field else ())


def precondition(message: str) -> Refused:
    """Return FAILED_PRECONDITION: the request is valid, but cannot be served now."""
    return Refused(Code.FAILED_PRECONDITION, message)


def already_exists(noun: str, name: str) -> Refused:
    """Return ALREADY_EXISTS, in the API's words."""
    return Refused(Code.ALREADY_EXISTS, f"{noun} with name {name} already exists")


def unimplemented(what: str) -> Refused:
    """Return UNIMPLEMENTED, which names the local cloud."""
    return Refused(Code.UNIMPLEMENTED, f"{what} is not served by the local cloud")


def denied(message: str) -> Refused:
    """Return PERMISSION_DENIED: the caller is known, and may not."""
    return Refused(Code.PERMISSION_DENIED, message)


def status_of(refused: Refused) -> Status:
    """Return an error as gRPC and REST carry it, with the fields that broke a constraint."""
    status = Status(code=refused.code, message=refused.message)
    if refused.violations:
        fields = [
            BadRequest.FieldViolation(field=violation.field, description=violation.description)
            for violation in refused.violations
        ]
        status.details.add().Pack(BadRequest(field_violations=fields))
    return status
