"""Reads an environment again and again: its status, the rollout lock, and the logs of its groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub

from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently, start
from samovar.core.errors import SamovarError
from samovar.deploy.lock import find_lock
from samovar.deploy.read_status import read_status
from samovar.deploy.status import GroupStatus
from samovar.ops.alerts import Alerts
from samovar.ops.events import LogRecord, Reading
from samovar.project.environment import Environment

Names = Callable[[], frozenset[str]]
"""Returns what drills broke and have not put back."""
Firing = Callable[[], Alerts]
INTERVAL = 2.0
"""Seconds between two readings, each of six calls of the API and three more a group."""
RECORDS = 100
"""The newest records of a group's log that are read each time."""


def read(session: Session, environment: Environment, broken: Names = frozenset, firing: Firing = Alerts) -> Reading:
    """Return the environment as it is now. Raises SamovarError where the cloud does not answer."""
    now = time.time()
    lock = start(partial(find_lock, session, environment.name))
    status = read_status(session, environment)
    logs = run_concurrently(*(partial(_records, session, group) for group in status.groups if group.id))
    return Reading(now, status, lock.result(), frozenset().union(*logs), firing(), broken())


def follow(
    session: Session,
    environment: Environment,
    interval: float = INTERVAL,
    *,
    broken: Names = frozenset,
    firing: Firing = Alerts,
) -> Iterator[Reading]:
    """Yield a reading now, and one at each interval. One that fails later is the last one with the `failure`."""
    last = read(session, environment, broken, firing)
    while True:
        yield last
        time.sleep(interval)
        try:
            last = read(session, environment, broken, firing)
        except SamovarError as error:
            last = replace(last, time=time.time(), failure=error.message)


def _records(session: Session, group: GroupStatus) -> frozenset[LogRecord]:
    request = rpc.ListInstanceGroupLogRecordsRequest(instance_group_id=group.id or "", page_size=RECORDS)
    page = session.client(InstanceGroupServiceStub).ListLogRecords(request)
    return frozenset(
        LogRecord(record.timestamp.ToNanoseconds() / 1e9, group.name, record.message) for record in page.log_records
    )
