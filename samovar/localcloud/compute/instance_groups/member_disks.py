"""Secondary disks that a group makes belong to the member and not to its machine (stateful-workload.md).

A machine that is made anew gets them again; they are deleted with the member, those excepted that are to be preserved.
A note on the disk names its member.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.instance_service_pb2 import CreateInstanceRequest

from samovar.localcloud.compute.disks.model import Disks
from samovar.localcloud.compute.instances.model import disk_request
from samovar.localcloud.store.store import NoteKey, Store


class _Owner(TypedDict):
    """The member that a disk belongs to, its device there, and whether it outlives the member."""

    member: str
    device: str
    preserve: bool


OWNER = NoteKey[_Owner]("disk.member")


class MemberDisks:
    """The disks of the members of all groups."""

    def __init__(self, store: Store, disks: Disks) -> None:
        self._store = store
        self._disks = disks

    def fill(self, request: CreateInstanceRequest, member_id: str) -> None:
        """Put the member's disks into the request for its machine: those that it has, and new ones for the others."""
        by_device = dict(self._of(member_id))
        for number, spec in enumerate(request.secondary_disk_specs):
            if spec.WhichOneof("disk") != "disk_spec":
                continue
            device = spec.device_name or str(number)
            if device in by_device:
                self._disks.enlarge(by_device[device], spec.disk_spec.size)
            else:
                by_device[device] = self._disks.make(disk_request(request.folder_id, request.zone_id, spec)).id
            owner = _Owner(member=member_id, device=device, preserve=not spec.auto_delete)
            self._store.note(by_device[device], OWNER, owner)
            spec.disk_id, spec.auto_delete = by_device[device], False

    def drop(self, member_id: str) -> None:
        """Delete the disks of a member that is deleted."""
        for _, disk_id in list(self._of(member_id)):
            preserve = self._store.must_note(disk_id, OWNER)["preserve"]
            self._store.forget(disk_id, OWNER)
            if not preserve and not self._store.must(Disk, disk_id).instance_ids:
                self._disks.delete(disk_id)

    def _of(self, member_id: str) -> Iterator[tuple[str, str]]:
        """Yield device name and id of each of the member's disks that still exist."""
        for disk_id, owner in self._store.all_noted(OWNER).items():
            if owner["member"] == member_id and self._store.get(Disk, disk_id):
                yield owner["device"], disk_id
