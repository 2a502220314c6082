"""The programme: steps in a fixed order, the same in every cloud."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import image_service_pb2 as images
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.certify.cleanup import remove_images
from samovar.certify.environment import (
    APP,
    FAMILY,
    FAMILY_FOLDER,
    IMAGE_LABELS,
    LABELS,
    LARGER,
    NAME,
    SIZE,
    environment,
    resources,
)
from samovar.certify.refusals import refused_calls
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import CloudError
from samovar.core.output import Reporter
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.apply import apply, clean_up
from samovar.deploy.lock import Held, locked
from samovar.deploy.machines import find_machine
from samovar.deploy.observe import observe
from samovar.deploy.plan import plan
from samovar.deploy.preconditions import check_free
from samovar.deploy.read_status import read_status
from samovar.deploy.resources.resource import Ref
from samovar.deploy.rollout import prepare_destruction, tear_down
from samovar.deploy.wait import wait_until_healthy
from samovar.images.publish import published
from samovar.project.environment import Environment

SOURCE = f"{NAME}-source"


@dataclass(frozen=True)
class Operators:
    """Two operators of one folder, each with a session; the first carries out all but the second rollout at once."""

    first: Session
    second: Session
    reporter: Reporter

    def environment(self, size: int) -> Environment:
        """Return the environment, its boot disks as large as the image asks for."""
        image = next((each for each in published(self.first) if each.name == NAME), None)
        if image is None:
            raise CloudError(f"the image {NAME} is gone", remedy="run `certify` again, and nothing else in its folder")
        return environment(size, image.min_disk_size, self.first.access.zone)


def make_image(operators: Operators) -> str:
    """Make a disk from the public image, an image from the disk, and delete the disk."""
    session = operators.first
    storage, pictures = session.client(DiskServiceStub), session.client(ImageServiceStub)
    latest = images.GetImageLatestByFamilyRequest(folder_id=FAMILY_FOLDER, family=FAMILY)
    public = pictures.GetLatestByFamily(latest)
    request = disks.CreateDiskRequest(
        folder_id=session.folder_id,
        name=SOURCE,
        labels=LABELS,
        type_id="network-ssd",
        zone_id=session.access.zone,
        size=public.min_disk_size,
        image_id=public.id,
    )
    operation = session.finish(storage.Create(request), what=f"create disk {SOURCE}")
    metadata = disks.CreateDiskMetadata()
    operation.metadata.Unpack(metadata)
    copy = images.CreateImageRequest(
        folder_id=session.folder_id, name=NAME, labels=IMAGE_LABELS, disk_id=metadata.disk_id
    )
    session.finish(pictures.Create(copy), what=f"create image {NAME}")
    deletion = storage.Delete(disks.DeleteDiskRequest(disk_id=metadata.disk_id))
    session.finish(deletion, what=f"delete disk {SOURCE}")
    return "an image"


def create(operators: Operators) -> str:
    """Roll the environment out into the empty folder."""
    return _roll_out(operators.first, operators.environment(SIZE), 1, operators.reporter)


def refuse(operators: Operators) -> str:
    """Make the calls that are to be refused."""
    return f"{refused_calls(operators.first)} calls were refused"


def kill(operators: Operators) -> str:
    """Stop a machine of the group `app`, as its operator would, and wait until the group has replaced it."""
    session, described = operators.first, operators.environment(SIZE)
    group = next(group for group in read_status(session, described).groups if group.name == APP)
    session.stop(find_machine(session, NAME, group.machines[0].name).id)

    def noticed() -> bool | Pending:
        return not read_status(session, described).healthy or Pending("every machine is healthy")

    wait_for("the group to notice", noticed, timeout=session.timeouts.healthy, interval=0.05, ceiling=1.0)
    _wait(session, described, {}, operators.reporter)
    return "healthy again"


def update(operators: Operators) -> str:
    """Change the metadata of every machine: a rolling update of both groups, which keeps the data disk."""
    return _roll_out(operators.first, operators.environment(SIZE), 2, operators.reporter)


def roll_out_at_once(operators: Operators) -> str:
    """Let two operators enlarge the group `app` at the same moment; the lock lets one of them do it."""
    described, together = operators.environment(LARGER), threading.Barrier(2)

    def attempt(session: Session) -> str:
        together.wait()
        try:
            return _roll_out(session, described, 2, operators.reporter)
        except Held:
            return "locked out"

    sessions = (operators.first, operators.second)
    return " and ".join(sorted(run_concurrently(*(partial(attempt, session) for session in sessions))))


def destroy(operators: Operators) -> str:
    """Delete the environment with its data disk, and the image."""
    session = operators.first
    with locked(session, NAME):
        prepared = prepare_destruction(session, operators.environment(LARGER), delete_data=True)
        tear_down(session, prepared, operators.reporter)
    remove_images(session, operators.reporter)
    left = observe(session, NAME).resources
    return f"left: {', '.join(str(each.ref) for each in left) or 'nothing'}"


@dataclass(frozen=True)
class Step:
    """A step of the programme: it returns in some words how it ended, which are the same in every cloud."""

    name: str
    description: str
    run: Callable[[Operators], str]


PROGRAMME = (
    Step("image", f"a disk from the public family {FAMILY}, an image from the disk", make_image),
    Step("create", "a network, two groups, an external and an internal balancer, a data disk", create),
    Step("refusals", "calls that the cloud has to refuse", refuse),
    Step("kill", "a machine is stopped, and its group replaces it", kill),
    Step("update", "other metadata: every machine is replaced, one at a time, and the data disk stays", update),
    Step("at-once", "two rollouts at once, of which the lock lets one change anything", roll_out_at_once),
    Step("destroy", "everything is deleted", destroy),
)


def _roll_out(session: Session, described: Environment, revision: int, reporter: Reporter) -> str:
    """Carry out a rollout as the command does; nobody has to reach the addresses from here."""
    desired = resources(described, revision)
    with locked(session, NAME):
        observed = observe(session, NAME)
        check_free(desired, observed)
        steps = plan(desired, observed)
        running = apply(session, steps, observed, reporter)
        _wait(session, described, running, reporter)
        clean_up(session, steps, observed, reporter)
    return "healthy"


def _wait(session: Session, described: Environment, running: Mapping[Ref, Operation], reporter: Reporter) -> None:
    with reporter.step(f"{NAME} gets healthy"):
        wait_until_healthy(session, described, running, reporter, timeout=session.timeouts.healthy)
