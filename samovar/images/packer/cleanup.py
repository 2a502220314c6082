"""What a bake leaves in the cloud that does not come to its end: its machine, its disk, half an image; and its removal.

Packer is told to leave that to us: it cleans up neither when it is killed nor when the connection to the cloud is lost,
and where that is lost it would spend minutes on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import image_service_pb2 as images
from yandex.cloud.compute.v1 import instance_service_pb2 as instances
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from samovar.cloud.errors import CallFailed, OperationFailed
from samovar.cloud.labels import BAKE, IMAGE, is_ours, is_passing
from samovar.cloud.session import Session
from samovar.core.output import Reporter
from samovar.core.waiting import Pending, wait_for
from samovar.images.packer.owner import is_over

TIMEOUT = 300.0
PATIENCE = 60.0
"""Seconds in which a connection that was lost may come back: what is in the cloud until then costs money."""
GONE = grpc.StatusCode.NOT_FOUND
AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
BUSY = frozenset({grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE})
"""A disk is still attached, an operation on the machine still runs."""


@dataclass(frozen=True)
class Leftover:
    """Something that exists for a bake alone, an image that is not known to be whole among it.

    `age` is in seconds by the cloud's own clock; 0 as long as that is not known.
    """

    kind: str
    id: str
    name: str
    image: str
    holder: str
    age: float

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.id})"


def abandoned(session: Session) -> tuple[Leftover, ...]:
    """What bakes left that were killed, in the order in which it can go."""
    return tuple(left for left in _all(session) if is_over(left.holder, left.age))


def clear(session: Session, holder: str, image: str, reporter: Reporter) -> None:
    """Removes all that one bake has in the cloud. Raises WaitTimeout where that does not answer, CloudError."""
    while found := _answered(session, lambda: of_bake(session, holder, image)):
        remove(session, found, reporter)


def _answered(session: Session, ask: Callable[[], tuple[Leftover, ...]]) -> tuple[Leftover, ...]:
    """What the cloud says once it says anything."""

    def probe() -> tuple[Leftover, ...] | Pending:
        try:
            return ask()
        except CallFailed as error:
            if error.status not in AWAY:
                raise
            return Pending(error.message)

    return wait_for(f"{session.access.endpoint} answers", probe, timeout=PATIENCE)


def of_bake(session: Session, holder: str, image: str) -> tuple[Leftover, ...]:
    """What one bake has in the cloud now."""
    return tuple(left for left in _all(session) if (left.image, left.holder) == (image, holder))


def bakes_run(session: Session) -> bool:
    """Whether there is anything of anybody's bake."""
    return any(True for _ in _all(session))


def remove(session: Session, found: tuple[Leftover, ...], reporter: Reporter) -> None:
    """Deletes it, and says so."""
    for left in found:
        with reporter.step(f"remove {left}"):
            wait_for(f"{left} goes", lambda left=left: _try(session, left), timeout=TIMEOUT, interval=0.5)  # type: ignore[misc]


def _try(session: Session, left: Leftover) -> bool | Pending:
    try:
        session.finish(_DELETE[left.kind](session, left.id), what=f"delete {left}")
    except (CallFailed, OperationFailed) as error:
        if error.status in BUSY:
            return Pending(error.message)
        if error.status is not GONE:
            raise
    return True


_DELETE: dict[str, Callable[[Session, str], Any]] = {
    "machine": lambda s, i: s.client(InstanceServiceStub).Delete(instances.DeleteInstanceRequest(instance_id=i)),
    "disk": lambda s, i: s.client(DiskServiceStub).Delete(disks.DeleteDiskRequest(disk_id=i)),
    "image": lambda s, i: s.client(ImageServiceStub).Delete(images.DeleteImageRequest(image_id=i)),
}


def _all(session: Session) -> Iterator[Leftover]:
    now = session.time
    for kind, message in _listed(session):
        labels = message.labels
        if is_ours(labels) and is_passing(labels):
            age = 0.0 if now is None else now - message.created_at.seconds
            yield Leftover(kind, message.id, message.name, labels.get(IMAGE, ""), labels[BAKE], age)


def _listed(session: Session) -> Iterator[tuple[str, Any]]:
    folder = session.folder_id
    found = session.client(InstanceServiceStub)
    for machine in session.list(
        found.List, instances.ListInstancesRequest(folder_id=folder), lambda page: page.instances
    ):
        yield "machine", machine
    for disk in session.list(
        session.client(DiskServiceStub).List, disks.ListDisksRequest(folder_id=folder), lambda page: page.disks
    ):
        yield "disk", disk
    listed = session.client(ImageServiceStub).List
    for image in session.list(listed, images.ListImagesRequest(folder_id=folder), lambda page: page.images):
        yield "image", image
