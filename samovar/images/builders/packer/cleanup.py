"""Removes what an interrupted bake left in the cloud: its machine, its disk, its incomplete image.

Packer does not do it when it is killed or when the connection is lost, and spends minutes on it in that case. Each of
these things has a label with the identity of the process that bakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import grpc
from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import image_service_pb2 as images
from yandex.cloud.compute.v1 import instance_service_pb2 as instances
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.errors import CallFailed, OperationFailed
from samovar.cloud.labels import BAKE, IMAGE, is_ours, is_passing
from samovar.cloud.session import Session
from samovar.core.output import Reporter
from samovar.core.proc import has_ended
from samovar.core.waiting import Pending, wait_for

LIFETIME = 2 * 3600.0
"""Seconds after which no bake runs any more, on whichever host."""
DELETE_TIMEOUT = 300.0
RECONNECT_TIMEOUT = 60.0
"""Seconds in which a lost connection may come back: what is in the cloud until then costs money."""
UNAVAILABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
BUSY = frozenset({grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE})
"""A disk is still attached, or an operation on the machine still runs."""


@dataclass(frozen=True)
class Leftover:
    """A machine, a disk or an incomplete image of a bake; `owner` is the identity of the process that bakes.

    `age` is in seconds by the cloud's own clock; 0 as long as that is not known.
    """

    kind: str
    id: str
    name: str
    image: str
    owner: str
    age: float

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.id})"


def is_over(owner: str, age: float) -> bool:
    """Return whether the bake of that process has ended; `age` in seconds is that of a thing with its label."""
    return has_ended(owner) or age > LIFETIME


def find_abandoned(session: Session) -> tuple[Leftover, ...]:
    """Return what killed bakes left, in the order in which it can be removed."""
    return tuple(leftover for leftover in _leftovers(session) if is_over(leftover.owner, leftover.age))


def leftovers_of(session: Session, owner: str, image: str) -> tuple[Leftover, ...]:
    """Return what one bake has in the cloud now."""
    return tuple(item for item in _leftovers(session) if (item.image, item.owner) == (image, owner))


def any_bake(session: Session) -> bool:
    """Return whether the cloud has anything of any bake."""
    return any(True for _ in _leftovers(session))


def remove_bake(session: Session, owner: str, image: str, reporter: Reporter) -> None:
    """Remove all that one bake has in the cloud. Raises WaitTimeout if the cloud does not answer, or CloudError."""
    while leftovers := _when_available(session, partial(leftovers_of, session, owner, image)):
        remove(session, leftovers, reporter)


def remove(session: Session, leftovers: tuple[Leftover, ...], reporter: Reporter) -> None:
    """Remove each of them, and report it."""
    for leftover in leftovers:
        with reporter.step(f"remove {leftover}"):
            delete = partial(_delete, session, leftover)
            wait_for(f"{leftover} to go", delete, timeout=DELETE_TIMEOUT, interval=0.5)


def _when_available(session: Session, read: Callable[[], tuple[Leftover, ...]]) -> tuple[Leftover, ...]:
    """Call `read` until the cloud answers."""

    def probe() -> tuple[Leftover, ...] | Pending:
        try:
            return read()
        except CallFailed as error:
            if error.status not in UNAVAILABLE:
                raise
            return Pending(error.message)

    return wait_for(f"{session.access.endpoint} to answer", probe, timeout=RECONNECT_TIMEOUT)


def _delete(session: Session, leftover: Leftover) -> bool | Pending:
    try:
        session.finish(_delete_call(session, leftover), what=f"delete {leftover}")
    except (CallFailed, OperationFailed) as error:
        if error.status in BUSY:
            return Pending(error.message)
        if error.status is not grpc.StatusCode.NOT_FOUND:
            raise
    return True


def _delete_call(session: Session, leftover: Leftover) -> Operation:
    match leftover.kind:
        case "machine":
            return session.client(InstanceServiceStub).Delete(instances.DeleteInstanceRequest(instance_id=leftover.id))
        case "disk":
            return session.client(DiskServiceStub).Delete(disks.DeleteDiskRequest(disk_id=leftover.id))
        case _:
            return session.client(ImageServiceStub).Delete(images.DeleteImageRequest(image_id=leftover.id))


def _leftovers(session: Session) -> Iterator[Leftover]:
    now = session.time
    for kind, message in _listed(session):
        labels = message.labels
        if is_ours(labels) and is_passing(labels):
            age = 0.0 if now is None else now - message.created_at.seconds
            yield Leftover(kind, message.id, message.name, labels.get(IMAGE, ""), labels[BAKE], age)


def _listed(session: Session) -> Iterator[tuple[str, Instance | Disk | Image]]:
    """Yield machines first: they go before their disks."""
    folder = session.folder_id
    list_instances = session.client(InstanceServiceStub).List
    list_disks, list_images = session.client(DiskServiceStub).List, session.client(ImageServiceStub).List
    for machine in session.list(
        list_instances, instances.ListInstancesRequest(folder_id=folder), lambda page: page.instances
    ):
        yield "machine", machine
    for disk in session.list(list_disks, disks.ListDisksRequest(folder_id=folder), lambda page: page.disks):
        yield "disk", disk
    for image in session.list(
        list_images, images.ListImagesRequest(folder_id=session.images_folder_id), lambda page: page.images
    ):
        yield "image", image
