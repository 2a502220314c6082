"""Recording that data disks have rows: by whoever sees their groups healthy, and once more when a rollout fails."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from yandex.cloud.lockbox.v1.secret_pb2 import Secret

from samovar.cloud.labels import GROUP
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import CloudError
from samovar.deploy.read_status import inspect
from samovar.deploy.resources.resource import Observed
from samovar.deploy.resources.seed_record import SeedRecord, record_seeded, unseeded_records
from samovar.deploy.status import Status
from samovar.project.environment import Environment


def record(session: Session, status: Status) -> tuple[str, ...]:
    """Records the rows of each group that is healthy. Returns what is not recorded, and why: it is never an error."""
    try:
        missing = unseeded_records(session, status.environment)
    except CloudError as error:
        return (f"whether the rows on the data disks are recorded is not known: {error.message}",)
    healthy = {group.name for group in status.groups if group.healthy}
    texts = run_concurrently(*(partial(_record, session, secret, healthy) for secret in missing))
    return tuple(text for text in texts if text)


def look(session: Session, environment: Environment) -> Status:
    """The status, with what is not recorded as warnings."""
    status = inspect(session, environment)
    return replace(status, warnings=record(session, status))


def record_if_missing(session: Session, environment: Environment, observed: Observed) -> tuple[str, ...]:
    """The same for whoever has not looked at the health of the groups; it asks nothing where all is recorded."""
    records = [existing.spec for existing in observed.resources if isinstance(existing.spec, SeedRecord)]
    return () if all(spec.seeded for spec in records) else record(session, inspect(session, environment))


def _record(session: Session, secret: Secret, healthy: set[str]) -> str:
    group = secret.labels.get(GROUP, "")
    missing = f"{group}: it is not recorded yet that its data disk has rows ({secret.name})"
    if group not in healthy:
        return f"{missing}; `status` and `rollout` record it once the group is healthy"
    try:
        record_seeded(session, secret.id, secret.name)
    except CloudError as error:
        return f"{missing}: {error.message}; have `status` run by somebody with the role lockbox.editor"
    return ""
