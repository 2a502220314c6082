"""A rollout waits for data disks that get their rows, records those that have them, and refuses other formats."""

from __future__ import annotations

from collections.abc import Mapping

from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ConfigError
from samovar.deploy.machines import check_disks_outlive_machines
from samovar.deploy.plan import Plan
from samovar.deploy.read_status import read_status
from samovar.deploy.resources.instance_group import MAX_SEEDING, InstanceGroup
from samovar.deploy.resources.resource import Desired, Observed
from samovar.deploy.resources.seed_record import SeedRecord, record_healthy
from samovar.deploy.status import Status
from samovar.project.environment import Environment


def record_rows(session: Session, status: Status) -> tuple[str, ...]:
    """Record the rows of healthy groups, and return what is not recorded.

    Raises CloudError, and records nothing, where a data disk would be deleted together with its machine.
    """
    check_disks_outlive_machines(session, status.environment)
    return record_healthy(session, status.environment, status.healthy_groups)


def record_if_missing(session: Session, environment: Environment, observed: Observed) -> tuple[str, ...]:
    """Record the rows of healthy groups, and return what is not recorded. Asks nothing where all is recorded."""
    formats = _running_formats(observed)
    records = ((each.group, each.spec) for each in observed.resources if isinstance(each.spec, SeedRecord))
    if all(record.seeded and (record.data_format or group not in formats) for group, record in records):
        return ()
    status = read_status(session, environment)
    try:
        return record_rows(session, status)
    except CloudError as error:
        return (error.message,)


def check_data_formats(environment: Environment, desired: Desired, observed: Observed) -> None:
    """Raise ConfigError where an image cannot read the rows on its group's data disk: its machine would serve nothing.

    Passes where either format is not known: the disk has no rows yet, or the image states none.
    """
    formats = dict(desired.data_formats)
    for existing in observed.resources:
        before = existing.spec.data_format if isinstance(existing.spec, SeedRecord) else ""
        after = formats.get(existing.group, "")
        if before and after and before != after:
            place = environment.place("groups", existing.group, "image")
            raise ConfigError(
                f"{place}: the data disk of group {existing.group} has rows of {before}, and its image reads {after}",
                remedy=f"give the group an image of {before}, whose `version` in image.yaml may say so; to change, add "
                f"a group of {after}, which gets a disk of its own, and bring the rows there by a dump",
            )


def _running_formats(observed: Observed) -> Mapping[str, str]:
    """Return the data format of each group's image, as far as the image bears one."""
    formats = dict(observed.data_formats)
    groups = ((each.group, each.spec) for each in observed.resources if isinstance(each.spec, InstanceGroup))
    images = {group: spec.template.image for group, spec in groups}
    return {group: formats[image] for group, image in images.items() if image in formats}


def healthy_timeout(plan: Plan, observed: Observed, usual: float) -> float:
    """Return the seconds that may pass without a change: while a disk gets its rows, as many as its group gives it."""
    existing = [resource.spec for resource in observed.resources]
    desired = [step.desired.spec for step in plan.steps if step.desired]
    unseeded = any(isinstance(spec, SeedRecord) and not spec.seeded for spec in (*existing, *desired))
    return max(usual, MAX_SEEDING) if unseeded else usual
