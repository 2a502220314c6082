"""A rollout or a destruction of one environment from its beginning to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from samovar.cloud.session import Session
from samovar.cloudinit.metadata import Api
from samovar.core.concurrency import start
from samovar.core.errors import CloudError, SamovarError, command_line
from samovar.core.output import Reporter
from samovar.deploy.apply import apply, clean_up
from samovar.deploy.desired import desired
from samovar.deploy.disk_sizes import check_boot_disks, check_disk_sizes
from samovar.deploy.endpoints import wait_for_endpoints
from samovar.deploy.existing import check_existing_secrets, existing_ranges, used_refs
from samovar.deploy.group_metadata import group_metadata
from samovar.deploy.observe import observe
from samovar.deploy.plan import Plan, destruction, plan
from samovar.deploy.preconditions import (
    check_deletions,
    check_disk_zones,
    check_file,
    check_free,
    check_groups_act,
    check_metrics,
    check_zones,
    warn_of_foreign_groups,
)
from samovar.deploy.read_status import read_status
from samovar.deploy.resources.instance_group import InstanceGroup
from samovar.deploy.resources.resource import Desired, Existing, Kind, Observed, Spec
from samovar.deploy.secrets import check_kinds, check_provided
from samovar.deploy.seeding import check_data_formats, healthy_timeout, record_if_missing, record_rows
from samovar.deploy.status import Status
from samovar.deploy.validate import validate
from samovar.deploy.wait import wait_until_healthy
from samovar.images.definition import digests, image_name
from samovar.images.load import load_images
from samovar.project.environment import Environment


@dataclass(frozen=True)
class Prepared:
    """A plan and what it was made from."""

    plan: Plan
    observed: Observed
    warnings: tuple[str, ...] = ()

    @property
    def kept(self) -> tuple[Existing[Spec], ...]:
        """The resources that a destruction leaves."""
        changed = {step.ref for step in self.plan.all_steps}
        return tuple(existing for existing in self.observed.resources if existing.ref not in changed)


def load_desired(environment: Environment, api: Api | None = None, ranges: Sequence[str] = ()) -> Desired:
    """Validate the environment and return the resources that it asks for, with images by the repository's content.

    `api` is where machines reach the cloud's API, where they do not know it by themselves; `ranges` are those of
    subnets that exist already. Raises ConfigError.
    """
    images = load_images(environment.project)
    metadata = group_metadata(environment, api)
    validate(environment, images, metadata)
    by_image = digests(images)
    names = {group.image: image_name(group.image, by_image[group.image]) for group in environment.groups}
    formats = tuple((group.name, images[group.image].data_format) for group in environment.groups)
    return replace(desired(environment, names, metadata, ranges), data_formats=formats)


def image_names(desired: Desired) -> frozenset[str]:
    """Return the full names of the images that the machines of the groups are made from."""
    groups = (resource.spec for resource in desired.resources if isinstance(resource.spec, InstanceGroup))
    return frozenset(group.template.image for group in groups)


def require_images(desired: Desired, observed: Observed) -> None:
    """Raise CloudError with the command that bakes the images that the cloud does not have."""
    if missing := image_names(desired) - dict(observed.images).keys():
        raise CloudError(
            f"not in this cloud: {', '.join(sorted(missing))}", remedy=command_line(f"bake --env {desired.environment}")
        )


def check_environment(session: Session, environment: Environment) -> tuple[Desired, Observed]:
    """Return what an environment asks for, and what there is, if it can be rolled out once its images are there.

    Raises ConfigError where a name is taken, a zone is not up or not that of a data disk, a secret has no value or
    another kind, an image cannot read the rows of a data disk, or what the file names by id is not there.
    """
    ranges = existing_ranges(session, environment)
    observing = start(lambda: observe(session, environment.name, used_refs(environment)))
    resources = load_desired(environment, _machines_api(session), ranges)
    observed = observing.result()
    check_free(resources, observed)
    check_kinds(environment, observed)
    check_provided(environment, observed)
    check_zones(session, environment)
    check_disk_zones(environment, resources, observed)
    check_metrics(session, environment)
    check_existing_secrets(session, environment)
    check_data_formats(environment, resources, observed)
    return resources, observed


def prepare(session: Session, environment: Environment) -> Prepared:
    """Return the plan of a rollout.

    Raises what `check_environment` does, CloudError where an image is missing, and ConfigError where a boot disk is too
    small or a data disk cannot get its size.

    Rows on data disks that are not recorded yet are recorded before anything else.
    """
    resources, observed = check_environment(session, environment)
    require_images(resources, observed)
    check_boot_disks(environment, resources, observed)
    steps = plan(resources, observed)
    check_disk_sizes(environment, steps)
    unrecorded = record_if_missing(session, environment, observed)
    return Prepared(steps, observed, (*unrecorded, *warn_of_foreign_groups(steps, observed)))


def prepare_destruction(
    session: Session, environment: Environment, *, delete_data: bool = False, keep_address: bool = False
) -> Prepared:
    """Return the plan that deletes all but data disks, and with `keep_address` all but the public addresses.

    Raises Protected where `deletion_protection` forbids it, in the file or still in the cloud; CloudError for a paused
    group.
    """
    observed = observe(session, environment.name, used_refs(environment))
    check_file(environment)
    steps = destruction(observed, delete_data=delete_data, keep_addresses=keep_address)
    check_deletions(steps)
    check_groups_act(steps, observed)
    return Prepared(steps, observed)


def roll_out(
    session: Session,
    environment: Environment,
    prepared: Prepared,
    reporter: Reporter,
    *,
    timeout: float | None = None,
) -> Status:
    """Carry the plan out and wait until the environment is healthy, also where the plan is empty.

    What is no longer part of the environment is deleted last: by then a group under another name, or in other subnets,
    has taken over. At the end the addresses have to answer. Without `timeout` it waits as long as the cloud may take.
    Raises CloudError before rows are recorded where a data disk would be deleted together with its machine.
    """
    timeout = timeout or healthy_timeout(prepared.plan, prepared.observed, session.timeouts.healthy)
    try:
        status = _settled(session, environment, prepared, reporter, timeout)
        clean_up(session, prepared.plan, prepared.observed, reporter)
    except BaseException:
        with suppress(SamovarError):
            record_rows(session, read_status(session, environment))
        raise
    for text in record_rows(session, status):
        reporter.info(text)
    return wait_for_endpoints(session, status, reporter)


BILLED_IDLE = {
    Kind.DISK: ("data disk", "data disks"),
    Kind.ADDRESS: ("idle public address, dearer than one in use", "idle public addresses, dearer than those in use"),
    Kind.SEED_RECORD: ("secret", "secrets"),
}


def still_billed(kept: Iterable[Existing[Spec]], *, snapshots: int, images: int) -> str:
    """Return in one line what a destruction leaves and the cloud still bills; empty where that is nothing."""
    counts = Counter(existing.ref.kind for existing in kept)
    left = [(counts[kind], *names) for kind, names in BILLED_IDLE.items()]
    left += [(snapshots, "snapshot", "snapshots"), (images, "image", "images")]
    texts = [f"{count} {one if count == 1 else more}" for count, one, more in left if count]
    return f"billed all the same: {'; '.join(texts)}" if texts else ""


def tear_down(session: Session, prepared: Prepared, reporter: Reporter) -> None:
    """Carry a destruction out."""
    apply(session, prepared.plan, prepared.observed, reporter)
    clean_up(session, prepared.plan, prepared.observed, reporter)


def _settled(
    session: Session, environment: Environment, prepared: Prepared, reporter: Reporter, timeout: float
) -> Status:
    running = apply(session, prepared.plan, prepared.observed, reporter)
    status = None if prepared.plan.all_steps else read_status(session, environment)
    if status and status.healthy:
        return status
    with reporter.step(f"{environment.name} gets healthy"):
        return wait_until_healthy(session, environment, running, reporter, timeout=timeout)


def _machines_api(session: Session) -> Api | None:
    if session.machines_api is None:
        return None
    endpoint, ca = session.machines_api
    return Api(endpoint=endpoint, ca=ca)
