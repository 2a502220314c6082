"""Reads an environment again and again: its status, the rollout lock, and the logs of its groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial

from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub

from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently, start
from samovar.core.errors import SamovarError
from samovar.deploy.lock import find_lock
from samovar.deploy.read_status import read_status
from samovar.deploy.status import GroupStatus, Status
from samovar.ops.alerts import Alerts
from samovar.ops.background_checks import background_checks
from samovar.ops.events import LogRecord, Reading, past_messages
from samovar.project.environment import Environment

Look = Callable[[Status], Status]
"""Adds to a status what a reading does not wait for."""
Names = Callable[[], frozenset[str]]
"""Returns what drills broke and have not put back."""
Firing = Callable[[], Alerts]
INTERVAL = 2.0
"""Seconds between two readings, each of six calls of the API and three more a group."""
LATE = 3 * INTERVAL
"""Seconds after which a reading that has not come is told. It is awaited all the same."""
RECORDS = 100
"""The newest records of a group's log that are read each time."""


def read(
    session: Session, environment: Environment, look: Look, broken: Names = frozenset, firing: Firing = Alerts
) -> Reading:
    """Return the environment as it is now. Raises SamovarError where the cloud does not answer."""
    lock = start(partial(find_lock, session, environment.name))
    status = read_status(session, environment)
    logs = run_concurrently(*(partial(_records, session, group) for group in status.groups if group.id))
    records = frozenset[LogRecord]().union(*logs)
    return Reading(time.time(), look(status), lock.result(), records, firing(), broken())


def follow(
    session: Session,
    environment: Environment,
    interval: float = INTERVAL,
    *,
    broken: Names = frozenset,
    firing: Firing = Alerts,
) -> Iterator[Reading]:
    """Yield a reading now, and one at each interval.

    Where one fails later, or takes longer than `LATE`, the last one comes again with the `failure`.
    """
    readings = Readings(partial(read, session, environment, background_checks(session, environment), broken, firing))
    while True:
        yield readings.next()
        time.sleep(interval)


class Readings:
    """Reads in the background, one reading at a time: a cloud that hangs keeps no viewer waiting."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read
        self._last: Reading | None = None
        self._running: Future[Reading] | None = None
        self._late_at = 0.0

    def next(self) -> Reading:
        """Return the next reading, or the last one with the failure. Raises SamovarError where the first one fails."""
        if self._last is None:
            self._last = self._read()
        else:
            self._last = self._following(self._last)
        return self._last

    def _following(self, last: Reading) -> Reading:
        if self._running is None:
            self._running, self._late_at = start(self._read), time.monotonic() + LATE
        running = self._running
        wait([running], timeout=max(0.0, self._late_at - time.monotonic()))
        if not running.done():
            return _failed(last, f"no answer within {LATE:g} s")
        self._running = None
        try:
            return replace(running.result(), messages=past_messages(last))
        except SamovarError as error:
            return _failed(last, error.message)


def _failed(last: Reading, failure: str) -> Reading:
    return replace(last, time=time.time(), failure=failure, answered=last.answered or last.time)


def _records(session: Session, group: GroupStatus) -> frozenset[LogRecord]:
    request = rpc.ListInstanceGroupLogRecordsRequest(instance_group_id=group.id or "", page_size=RECORDS)
    page = session.client(InstanceGroupServiceStub).ListLogRecords(request)
    return frozenset(
        LogRecord(record.timestamp.ToNanoseconds() / 1e9, group.name, record.message) for record in page.log_records
    )
