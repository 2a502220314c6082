"""Removes all that the programme makes, foreign by its labels: of this run, and of one that was killed."""

from __future__ import annotations

from collections.abc import Iterator

from yandex.cloud.compute.v1 import image_service_pb2 as images
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.loadbalancer.v1 import target_group_service_pb2 as targets
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.loadbalancer.v1.target_group_service_pb2_grpc import TargetGroupServiceStub

from samovar.certify.environment import LARGER, NAME, environment
from samovar.cloud.labels import is_of
from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ConfigError, WaitTimeout
from samovar.core.output import Reporter
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.lock import lock_name
from samovar.deploy.machines import list_instances, list_machines
from samovar.deploy.observe import observe
from samovar.deploy.resources.resource import Kind
from samovar.deploy.rollout import prepare_destruction, tear_down

TIMEOUT = 1800.0
"""Seconds for a clean-up, which is no part of the programme's own bound."""
PAUSE = 10.0


def leftovers(session: Session) -> tuple[str, ...]:
    """Return what the folder has of the programme: kinds and names."""
    resources = (str(existing.ref) for existing in observe(session, NAME).resources)
    pictures = (f"image {image.name}" for image in _images(session))
    machines = (f"machine {machine.name}" for machine in list_machines(session, NAME))
    locks = (f"lock {lock.name}" for lock in _locks(session))
    return (*resources, *pictures, *machines, *locks)


def remove(session: Session, reporter: Reporter, *, timeout: float = TIMEOUT) -> None:
    """Remove all of it, again and again until nothing is left. Raises WaitTimeout with what is left.

    The caller holds the lock of all runs, so a lock of the environment is that of a run that has ended.
    """

    def probe() -> bool | Pending:
        try:
            _remove_once(session, reporter)
            left = leftovers(session)
        except (CloudError, WaitTimeout) as error:  # in use, or still being made
            reporter.info(f"  {error.message}; once more")
            return Pending(error.message)
        return not left or Pending(", ".join(left))

    remedy = f"delete what has the label env={NAME}, or run `certify` again: it begins by removing it"
    wait_for(f"{NAME} to be removed", probe, timeout=timeout, interval=1.0, ceiling=PAUSE, remedy=remedy)


def require_empty(session: Session) -> None:
    """Raise ConfigError where the folder has machines, groups or balancers that are not the programme's."""
    foreign = tuple(_foreign(session))
    if foreign:
        raise ConfigError(
            f"the folder {session.folder_id} is not empty: {', '.join(foreign)}",
            remedy="make an empty folder for this alone (yc resource-manager folder create NAME), and name it by "
            "YC_FOLDER_ID",
        )


def _foreign(session: Session) -> Iterator[str]:
    for ref, _ in observe(session, NAME).others:
        if ref.kind in {Kind.INSTANCE_GROUP, Kind.LOAD_BALANCER}:
            yield str(ref)
    for machine in list_instances(session):
        if not is_of(machine.labels, NAME):
            yield f"machine {machine.name}"


def _remove_once(session: Session, reporter: Reporter) -> None:
    prepared = prepare_destruction(session, environment(LARGER), delete_data=True)
    tear_down(session, prepared, reporter)
    remove_images(session, reporter)
    for lock in _locks(session):
        request = targets.DeleteTargetGroupRequest(target_group_id=lock.id)
        session.finish(session.client(TargetGroupServiceStub).Delete(request), what=f"delete lock {lock.name}")


def remove_images(session: Session, reporter: Reporter) -> None:
    """Delete the images, of which the boot disks of machines are copies."""
    for image in _images(session):
        with reporter.step(f"delete image {image.name}"):
            request = images.DeleteImageRequest(image_id=image.id)
            session.finish(session.client(ImageServiceStub).Delete(request), what=f"delete image {image.name}")


def _images(session: Session) -> list[Image]:
    request = images.ListImagesRequest(folder_id=session.folder_id)
    listed = session.list(session.client(ImageServiceStub).List, request, lambda page: page.images)
    return [image for image in listed if is_of(image.labels, NAME)]


def _locks(session: Session) -> list[TargetGroup]:
    request = targets.ListTargetGroupsRequest(folder_id=session.folder_id)
    listed = session.list(session.client(TargetGroupServiceStub).List, request, lambda page: page.target_groups)
    return [group for group in listed if group.name == lock_name(NAME)]
