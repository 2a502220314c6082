"""One rollout of an environment at a time: whoever makes a resource of a name that is unique in the folder holds it.

The resource is an empty Lockbox secret, which costs nothing. Its labels say who holds it, since when, and until when
nobody else may take it; while the holder lives that is put off again and again.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.secret_pb2 import Secret
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub

from cloud.failures import CallFailed
from cloud.labels import MANAGED_BY, SAMOVAR
from cloud.session import Session
from kit.errors import CloudError, ExitCode, SamovarError

LIFETIME = 60
"""Seconds after which the lock of a holder who is not heard of any more is another's."""
HOLDER, SINCE, UNTIL = "holder", "since", "until"


class Held(SamovarError):
    """Somebody else is at it."""

    code = ExitCode.BUSY


@dataclass(frozen=True)
class Lock:
    """A lock as its labels tell it; times are seconds since 1970."""

    id: str
    holder: str
    since: int
    until: int

    def free(self, now: float) -> bool:
        """Whether nobody can be at it any more: its time is over, or its holder was a process here that has ended."""
        place, _, process = self.holder.rpartition("-")
        died = place == _place() and process.isdecimal() and not Path(f"/proc/{process}").exists()
        return died or now >= self.until


@contextmanager
def locked(session: Session, environment: str, *, lifetime: int = LIFETIME) -> Iterator[None]:
    """Holds the environment's lock; Held names who has it since when. One that expired is taken over."""
    lock_id, since = _take(session, environment, lifetime), int(time.time())
    done = threading.Event()
    beat = threading.Thread(target=_keep, args=(session, lock_id, since, lifetime, done), daemon=True)
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()
        _release(session, lock_id)


def _take(session: Session, environment: str, lifetime: int) -> str:
    name = f"{environment}-rollout-lock"
    found = _find(session, name)
    if found and not found.free(time.time()):
        raise _held(environment, found)
    if found:
        _release(session, found.id)
    now = int(time.time())
    request = rpc.CreateSecretRequest(folder_id=session.folder_id, name=name, labels=_labels(now, now + lifetime))
    try:
        operation = session.client(SecretServiceStub).Create(request)
        session.finish(operation, what=f"lock {environment}")
    except CloudError as error:
        other = _find(session, name)
        if getattr(error, "status", None) is not grpc.StatusCode.ALREADY_EXISTS or other is None:
            raise
        raise _held(environment, other) from error
    metadata = rpc.CreateSecretMetadata()
    operation.metadata.Unpack(metadata)
    return str(metadata.secret_id)


def _find(session: Session, name: str) -> Lock | None:
    request = rpc.ListSecretsRequest(folder_id=session.folder_id)
    for secret in session.list(session.client(SecretServiceStub).List, request, "secrets"):
        if secret.name == name:
            return _read(secret)
    return None


def _read(secret: Secret) -> Lock:
    labels: Mapping[str, str] = secret.labels
    return Lock(secret.id, labels.get(HOLDER, "somebody"), int(labels.get(SINCE, "0")), int(labels.get(UNTIL, "0")))


def _held(environment: str, lock: Lock) -> Held:
    since = datetime.fromtimestamp(lock.since, UTC).isoformat(timespec="seconds")
    left = max(1, lock.until - int(time.time()))
    return Held(
        f"{environment} is being worked on by {lock.holder} since {since}",
        remedy=f"wait for it; should it have died, its lock expires in {left} s",
    )


def _keep(session: Session, lock_id: str, since: int, lifetime: int, done: threading.Event) -> None:
    """Puts the end off until `done`; a cloud that does not answer now may do so the next time."""
    while not done.wait(lifetime / 3):
        request = rpc.UpdateSecretRequest(
            secret_id=lock_id,
            update_mask=FieldMask(paths=["labels"]),
            labels=_labels(since, int(time.time()) + lifetime),
        )
        try:
            session.client(SecretServiceStub).Update(request)
        except CloudError:
            continue


def _release(session: Session, lock_id: str) -> None:
    try:
        session.finish(
            session.client(SecretServiceStub).Delete(rpc.DeleteSecretRequest(secret_id=lock_id)), what="unlock"
        )
    except CallFailed as error:
        if error.status is not grpc.StatusCode.NOT_FOUND:
            raise


def _labels(since: int, until: int) -> dict[str, str]:
    return {MANAGED_BY: SAMOVAR, HOLDER: holder(), SINCE: str(since), UNTIL: str(until)}


def holder() -> str:
    """Who we are, in the letters that a label may have, of which it has 63 at the most."""
    return f"{_place()}-{os.getpid()}"


def _place() -> str:
    return re.sub(r"[^-_a-z0-9]", "-", f"{getpass.getuser()}-{socket.gethostname()}".lower())[:50]
