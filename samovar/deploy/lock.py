"""The rollout lock: one rollout of an environment runs at a time.

The lock is an empty target group, which costs nothing: its proto says that its name is unique in the folder, and a
second one ends with ALREADY_EXISTS. (Names of Lockbox secrets are not unique.) Its label `holder` makes it a lock,
never its name alone. The holder renews it; a lock that was not renewed for too long is deleted by its id, and created
anew. No two clocks are compared for that: the taker watches by its own clock whether the lock is renewed.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.loadbalancer.v1 import target_group_service_pb2 as rpc
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.loadbalancer.v1.target_group_service_pb2_grpc import TargetGroupServiceStub

from samovar.cloud.errors import CallFailed
from samovar.cloud.labels import MANAGED_BY, SAMOVAR
from samovar.cloud.session import Session
from samovar.core.constants import REGION
from samovar.core.errors import CloudError, ExitCode, SamovarError
from samovar.core.output import date_time, stderr_reporter
from samovar.core.proc import has_ended, process_identity
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.lease import Lease

LIFETIME = 60.0
"""Seconds for which a renewal is valid. A holder whose last renewal is older than half of them changes nothing."""
WATCHED = 2 / 3
"""The part of the lifetime that a taker waits without a renewal. The lock is renewed three times in a lifetime."""
FREE_AFTER = LIFETIME * (1 + WATCHED)
HOLDER, PROCESS, SINCE, UNTIL = "holder", "process", "since", "until"


class Held(SamovarError):
    """Another rollout holds the lock."""

    code = ExitCode.LOCKED


@dataclass(frozen=True)
class Lock:
    """A lock as its labels describe it; times are seconds since 1970 by its holder's clock, for people."""

    id: str
    holder: str
    process: str
    since: int
    until: int

    def is_fresh(self, lifetime: float) -> bool:
        """Return whether the lock looks renewed. Clocks differ: this is enough to refuse at once, not to take it."""
        return 0 < self.until - time.time() <= lifetime + 1


@contextmanager
def locked(session: Session, environment: str, *, lifetime: float = LIFETIME) -> Iterator[None]:
    """Hold the environment's lock. Raises Held, which names its holder and since when. An expired lock is taken over.

    A holder that lost the lock gets LockLost at its next call to the cloud, before the call is made. What failed under
    the lock is what is raised, also where the lock cannot be deleted then: a cloud that is away fails both.
    """
    lock_id, since = _take(session, environment, lifetime), int(time.time())
    lease = Lease(environment, lambda: _renew(session, lock_id, since, lifetime), lifetime)
    beat = threading.Thread(target=lease.keep, daemon=True)
    beat.start()
    try:
        with session.guarded(lease.check):
            yield
            lease.check()
    except BaseException:
        with suppress(SamovarError):
            _release(session, lock_id, lease, beat)
        raise
    _release(session, lock_id, lease, beat)


def _release(session: Session, lock_id: str, lease: Lease, beat: threading.Thread) -> None:
    lease.end()
    beat.join()
    _delete(session, lock_id)


def lock_name(environment: str) -> str:
    """Return the name of the target group that is the environment's lock."""
    return f"{environment}-rollout-lock"


def find_lock(session: Session, environment: str) -> Lock | None:
    """Return the environment's lock; None where no rollout holds it."""
    return _find(session, lock_name(environment))


def _take(session: Session, environment: str, lifetime: float) -> str:
    name = lock_name(environment)
    if existing := _find(session, name):
        if not has_ended(existing.process):
            _watch(session, environment, existing, lifetime)
        _delete(session, existing.id)
    now = time.time()
    request = rpc.CreateTargetGroupRequest(
        folder_id=session.folder_id, name=name, region_id=REGION, labels=_labels(now, now + lifetime)
    )
    try:
        operation = session.client(TargetGroupServiceStub).Create(request)
        session.finish(operation, what=f"lock {environment}")
    except CloudError as error:
        if getattr(error, "status", None) is not grpc.StatusCode.ALREADY_EXISTS:
            raise
        other = _find(session, name)
        raise _held(environment, other) from error
    metadata = rpc.CreateTargetGroupMetadata()
    operation.metadata.Unpack(metadata)
    return str(metadata.target_group_id)


def _watch(session: Session, environment: str, lock: Lock, lifetime: float) -> None:
    """Return when the lock was not renewed for long enough, as measured here. Raises Held where its holder lives."""
    if lock.is_fresh(lifetime):
        raise _held(environment, lock)
    began, enough = time.monotonic(), lifetime * WATCHED

    def probe() -> bool | Pending:
        now = _find(session, lock_name(environment))
        if now is not None and now != lock:
            raise _held(environment, now)
        return now is None or time.monotonic() - began >= enough or Pending("not renewed")

    with stderr_reporter().step(f"wait whether {lock.holder} still renews its lock of {environment}"):
        wait_for(f"the lock of {environment}", probe, timeout=enough + 30, interval=lifetime / 20)


def _find(session: Session, name: str) -> Lock | None:
    """Return the lock of that name. Raises CloudError where another resource has its name."""
    request = rpc.ListTargetGroupsRequest(folder_id=session.folder_id)
    for group in session.list(session.client(TargetGroupServiceStub).List, request, lambda page: page.target_groups):
        if group.name == name:
            return _read(group)
    return None


def _read(group: TargetGroup) -> Lock:
    labels = group.labels
    if HOLDER not in labels or group.targets:
        raise CloudError(
            f"the target group {group.name} ({group.id}) has the name of a lock, and is none",
            remedy="give it, or the instance group that made it, another name",
        )
    return Lock(group.id, labels[HOLDER], labels.get(PROCESS, ""), _seconds(labels, SINCE), _seconds(labels, UNTIL))


def _seconds(labels: Mapping[str, str], key: str) -> int:
    text = labels.get(key, "")
    return int(text) if re.fullmatch("[0-9]{1,11}", text) else 0


def _held(environment: str, lock: Lock | None) -> Held:
    who = f"{lock.holder} since {_date(lock.since)} UTC" if lock else "a rollout that has just begun"
    return Held(
        f"{environment} is locked by {who}",
        remedy=f"wait for it; if it has died, its lock expires {FREE_AFTER:.0f} s after the last renewal",
    )


def _date(seconds: int) -> str:
    return date_time(datetime.fromtimestamp(seconds, UTC).isoformat())


def _renew(session: Session, lock_id: str, since: float, lifetime: float) -> None:
    request = rpc.UpdateTargetGroupRequest(
        target_group_id=lock_id,
        update_mask=FieldMask(paths=["labels"]),
        labels=_labels(since, time.time() + lifetime),
    )
    session.client(TargetGroupServiceStub).Update(request, timeout=lifetime / 3)


def _delete(session: Session, lock_id: str) -> None:
    """The lock is deleted by its id: one that another holder has created meanwhile has another id.

    The operation of its last renewal may be under way still.
    """
    request = rpc.DeleteTargetGroupRequest(target_group_id=lock_id)
    try:
        session.repeat_on_conflict(lambda: session.client(TargetGroupServiceStub).Delete(request), what="unlock")
    except CallFailed as error:
        if error.status is not grpc.StatusCode.NOT_FOUND:
            raise


def _labels(since: float, until: float) -> dict[str, str]:
    times = {SINCE: str(int(since)), UNTIL: str(int(until))}
    return {MANAGED_BY: SAMOVAR, HOLDER: holder(), PROCESS: process_identity(), **times}


def holder() -> str:
    """Return user, host and process for people, in the characters that a label may have, at most 63 of them."""
    place = re.sub(r"[^-_a-z0-9]", "-", f"{getpass.getuser()}-{socket.gethostname()}".lower())
    return f"{place[:50]}-{os.getpid()}"
