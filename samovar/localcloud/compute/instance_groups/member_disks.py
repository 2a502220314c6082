"""Secondary disks that a group makes belong to the member and not to its machine (stateful-workload.md).

A machine that is made anew gets them again; they are deleted with the member, those excepted that are to be preserved.
Where the template changes, a disk stays if it need only grow; else it is deleted, and a new one comes
(deploy/secondary-disk.md). A note on the disk names its member.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NotRequired, TypedDict

from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.instance_service_pb2 import AttachedDiskSpec, CreateInstanceRequest

from samovar.localcloud.compute.disks.model import Disks
from samovar.localcloud.compute.instances.model import disk_request
from samovar.localcloud.store.store import NoteKey, Store


class _Owner(TypedDict):
    """The member that a disk belongs to, its key there, and whether it outlives the member.

    The key is the disk's name in the template, if it is `named`, or its device or its number. `size` is what the
    template asked for, in bytes: the disk itself may have been made larger.
    """

    member: str
    device: str
    preserve: bool
    named: NotRequired[bool]
    size: NotRequired[int]


OWNER = NoteKey[_Owner]("disk.member")
Specs = Mapping[int, AttachedDiskSpec]
"""Specifications of disks that a group makes, by their number in the template."""


class MemberDisks:
    """The disks of the members of all groups."""

    def __init__(self, store: Store, disks: Disks) -> None:
        self._store = store
        self._disks = disks

    def fill(self, request: CreateInstanceRequest, member_id: str, names: Sequence[str]) -> None:
        """Put the member's disks into the request for its machine: those that it has, and new ones for the others.

        A disk that no specification fits is let go. `names` are those of the template.
        """
        specs = {number: spec for number, spec in enumerate(request.secondary_disk_specs) if spec.HasField("disk_spec")}
        mapped = self._mapped(member_id, specs, names)
        for number, spec in specs.items():
            if number in mapped:
                self._disks.enlarge(mapped[number], spec.disk_spec.size)
            else:
                mapped[number] = self._disks.make(disk_request(request.folder_id, request.zone_id, spec)).id
            owner = _Owner(member=member_id, device=_key(number, spec, names), preserve=not spec.auto_delete)
            owner["named"], owner["size"] = bool(names[number]), spec.disk_spec.size
            self._store.note(mapped[number], OWNER, owner)
            spec.disk_id, spec.auto_delete = mapped[number], False

    def _mapped(self, member_id: str, specs: Specs, names: Sequence[str]) -> dict[int, str]:
        """Return the member's disk for the number of each specification that one fits; let the other disks go."""
        mapped: dict[int, str] = {}
        for disk_id, owner in list(self._of(member_id)):
            disk = self._store.must(Disk, disk_id)
            fitting = (each for each in _candidates(owner, specs, names) if _fits(disk, owner, specs[each]))
            number = next((each for each in fitting if each not in mapped), None)
            if number is None:
                self._let_go(disk_id)
            else:
                mapped[number] = disk_id
        return mapped

    def drop(self, member_id: str) -> None:
        """Let go of the disks of a member that is deleted."""
        for disk_id, _ in list(self._of(member_id)):
            self._let_go(disk_id)

    def _let_go(self, disk_id: str) -> None:
        """Delete a disk, unless it is to be preserved."""
        preserve = self._store.must_note(disk_id, OWNER)["preserve"]
        self._store.forget(disk_id, OWNER)
        if not preserve and not self._store.must(Disk, disk_id).instance_ids:
            self._disks.delete(disk_id)

    def _of(self, member_id: str) -> Iterator[tuple[str, _Owner]]:
        """Yield id and note of each of the member's disks that still exist, in the order of their keys."""
        owned = self._store.all_noted(OWNER).items()
        mine = [(disk_id, owner) for disk_id, owner in owned if owner["member"] == member_id]
        for disk_id, owner in sorted(mine, key=lambda each: each[1]["device"]):
            if self._store.get(Disk, disk_id):
                yield disk_id, owner


def _key(number: int, spec: AttachedDiskSpec, names: Sequence[str]) -> str:
    return names[number] or spec.device_name or str(number)


def _candidates(owner: _Owner, specs: Specs, names: Sequence[str]) -> list[int]:
    """Return the specifications that may be of a disk: the one of its name, or without names any, its own key first."""
    keys = {number: _key(number, spec, names) for number, spec in specs.items()}
    if owner.get("named") and any(names):
        return [number for number, key in keys.items() if key == owner["device"]]
    return sorted(keys, key=lambda number: keys[number] != owner["device"])


def _fits(disk: Disk, owner: _Owner, spec: AttachedDiskSpec) -> bool:
    """Return whether a disk is what a specification asks for, or becomes that by growing."""
    asked = spec.disk_spec
    same_source = (asked.image_id, asked.snapshot_id) == (disk.source_image_id, disk.source_snapshot_id)
    return same_source and asked.type_id in {"", disk.type_id} and asked.size >= owner.get("size", asked.size)
