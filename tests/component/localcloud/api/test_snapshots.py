"""Snapshots by the API: of which disks, what is made from them, what they keep from going, and what they cost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.access.access_pb2 import ListAccessBindingsRequest, SetAccessBindingsRequest
from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import image_service_pb2 as images
from yandex.cloud.compute.v1 import instance_service_pb2 as instances
from yandex.cloud.compute.v1 import snapshot_service_pb2 as snapshots
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.compute.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub

from samovar.core.constants import GIB, MIB
from samovar.core.errors import HostError
from samovar.localcloud.api.errors import Refused
from samovar.localcloud.compute.snapshots.model import Snapshots
from samovar.localcloud.disks.freeze import FreezeFailed
from samovar.localcloud.home.home import Home, QuotaSet
from samovar.localcloud.quota_manager.model import check_quota, choose_quotas
from samovar.localcloud.store.store import Store
from tests.support.calls import account, binding, code_of, grant
from tests.support.machines import machine, reached
from tests.support.simulated import RunningCloud
from tests.support.wait import wait_until

ZONE = "ru-central1-a"
T = TypeVar("T", Disk, Image, Snapshot)
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


class Client:
    """The calls of these tests, short."""

    def __init__(self, cloud: RunningCloud, token: str | None = None) -> None:
        self.cloud, channel = cloud, cloud.channel(token)
        self.folder = cloud.endpoint.folder_id
        self.disks, self.images = DiskServiceStub(channel), ImageServiceStub(channel)
        self.instances, self.snapshots = InstanceServiceStub(channel), SnapshotServiceStub(channel)
        self._operations = OperationServiceStub(channel)

    def blank(self, content: bytes = b"rows", size: int = 4 * MIB) -> str:
        request = disks.CreateDiskRequest(folder_id=self.folder, zone_id=ZONE, size=size)
        disk_id = self.done(self.disks.Create(request), Disk).id
        with self.cloud.home.disk(disk_id).open("r+b") as file:
            file.write(content)
        return disk_id

    def take(self, disk_id: str, **fields: str) -> Operation:
        return self.snapshots.Create(
            snapshots.CreateSnapshotRequest(folder_id=self.folder, disk_id=disk_id, **fields)  # type: ignore[arg-type]
        )

    def snapshot(self, disk_id: str, **fields: str) -> Snapshot:
        return self.done(self.take(disk_id, **fields), Snapshot)

    def copy(self, snapshot_id: str, size: int = 8 * MIB) -> Operation:
        return self.disks.Create(
            disks.CreateDiskRequest(folder_id=self.folder, zone_id=ZONE, snapshot_id=snapshot_id, size=size)
        )

    def ended(self, operation: Operation) -> Operation:
        request = GetOperationRequest(operation_id=operation.id)
        wait_until("the operation ends", lambda: self._operations.Get(request).done)
        return self._operations.Get(request)

    def done(self, operation: Operation, kind: type[T]) -> T:
        ended = self.ended(operation)
        assert not ended.HasField("error"), ended.error
        return kind.FromString(ended.response.value)

    def instance(self, boot: instances.AttachedDiskSpec, subnet_id: str) -> instances.CreateInstanceRequest:
        return instances.CreateInstanceRequest(
            folder_id=self.folder,
            zone_id=ZONE,
            platform_id="standard-v3",
            resources_spec=instances.ResourcesSpec(memory=2 * GIB, cores=2),
            boot_disk_spec=boot,
            network_interface_specs=[
                instances.NetworkInterfaceSpec(
                    subnet_id=subnet_id, primary_v4_address_spec=instances.PrimaryAddressSpec()
                )
            ],
        )


@pytest.fixture
def client(cloud: RunningCloud) -> Client:
    return Client(cloud)


def test_a_snapshot_keeps_the_content_of_its_disk_and_a_disk_is_created_from_it(client: Client) -> None:
    disk_id = client.blank()
    snapshot = client.snapshot(disk_id, name="before", description="the change")
    assert (snapshot.status, snapshot.source_disk_id, snapshot.disk_size) == (Snapshot.READY, disk_id, 4 * MIB)
    assert (snapshot.name, snapshot.description) == ("before", "the change")
    assert snapshot.storage_size > 0
    client.cloud.home.disk(disk_id).write_bytes(b"lost")
    client.disks.Delete(disks.DeleteDiskRequest(disk_id=disk_id))
    copied = client.copy(snapshot.id, 8 * MIB)
    assert copied.description == "Create disk"
    disk = client.done(copied, Disk)
    assert (disk.source_snapshot_id, disk.size, disk.status) == (snapshot.id, 8 * MIB, Disk.READY)
    file = client.cloud.home.disk(disk.id)
    assert (file.read_bytes()[:5], file.stat().st_size) == (b"rows\0", 8 * MIB)
    grown = disks.UpdateDiskRequest(disk_id=disk.id, size=16 * MIB, update_mask=FieldMask(paths=["size"]))
    assert client.done(client.disks.Update(grown), Disk).size == 16 * MIB
    client.snapshots.Delete(snapshots.DeleteSnapshotRequest(snapshot_id=snapshot.id))
    assert list(client.cloud.home.snapshots.iterdir()) == []
    assert file.read_bytes()[:4] == b"rows"


def test_a_snapshot_is_listed_and_renamed_and_has_operations_and_bindings(client: Client) -> None:
    snapshot = client.snapshot(client.blank(), name="one")
    listed = snapshots.ListSnapshotsRequest(folder_id=client.folder, filter='name="one"')
    assert list(client.snapshots.List(listed).snapshots) == [snapshot]
    request = snapshots.UpdateSnapshotRequest(snapshot_id=snapshot.id, name="two", labels={"a": "b"})
    renamed = client.done(client.snapshots.Update(request), Snapshot)
    assert (renamed.name, dict(renamed.labels), renamed.disk_size) == ("two", {"a": "b"}, snapshot.disk_size)
    output = client.snapshots.ListOperations(snapshots.ListSnapshotOperationsRequest(snapshot_id=snapshot.id))
    assert sorted(operation.description for operation in output.operations) == ["Create snapshot", "Update snapshot"]
    account_id, _ = account(client.cloud)
    bind = SetAccessBindingsRequest(resource_id=snapshot.id, access_bindings=[binding("viewer", account_id)])
    client.snapshots.SetAccessBindings(bind)
    bindings = client.snapshots.ListAccessBindings(ListAccessBindingsRequest(resource_id=snapshot.id))
    assert list(bindings.access_bindings) == [binding("viewer", account_id)]
    again = snapshots.CreateSnapshotRequest(folder_id=client.folder, disk_id=snapshot.source_disk_id, name="two")
    assert code_of(client.snapshots.Create, again) is grpc.StatusCode.ALREADY_EXISTS


def test_snapshots_need_the_same_roles_as_disks(client: Client) -> None:
    disk_id = client.blank()
    account_id, token = account(client.cloud)
    theirs = Client(client.cloud, token)
    assert code_of(theirs.take, disk_id) is grpc.StatusCode.PERMISSION_DENIED
    grant(client.cloud, "compute.viewer", account_id)
    assert list(theirs.snapshots.List(snapshots.ListSnapshotsRequest(folder_id=client.folder)).snapshots) == []
    assert code_of(theirs.take, disk_id) is grpc.StatusCode.PERMISSION_DENIED
    grant(client.cloud, "compute.editor", account_id)
    assert theirs.snapshot(disk_id).status == Snapshot.READY


def test_a_missing_source_or_a_disk_that_is_too_small_is_refused_by_name(client: Client) -> None:
    nowhere = grpc.StatusCode.NOT_FOUND
    assert code_of(client.take, "nothing") is nowhere
    assert code_of(client.copy, "nothing") is nowhere
    image = images.CreateImageRequest(folder_id=client.folder, snapshot_id="nothing")
    assert code_of(client.images.Create, image) is nowhere
    assert code_of(client.snapshots.Get, snapshots.GetSnapshotRequest(snapshot_id="nothing")) is nowhere
    snapshot = client.snapshot(client.blank(size=8 * MIB))
    assert code_of(client.copy, snapshot.id, 4 * MIB) is grpc.StatusCode.INVALID_ARGUMENT


def test_the_operation_describes_how_long_a_running_machine_cannot_write_before_and_after(
    client: Client, subnet_id: str
) -> None:
    instance = machine(client.cloud, subnet_id, name="db")
    client.cloud.home.disk(instance.boot_disk.disk_id).write_bytes(bytes(MIB))
    started = client.take(instance.boot_disk.disk_id)
    assert started.description == "Create snapshot: db cannot write to the disk for about 0.1 s, at most 20 s"
    assert client.ended(started).description == "Create snapshot: nothing was written to the disk for 0.50 s"
    assert "for about 0.5 s" in client.take(instance.boot_disk.disk_id).description


def test_machines_boot_from_the_complete_snapshot_of_a_boot_disk(client: Client, subnet_id: str) -> None:
    """A disk stands on it, so it stays."""
    instance = machine(client.cloud, subnet_id)
    disk_id = instance.boot_disk.disk_id
    client.cloud.home.disk(disk_id).write_bytes(b"what it wrote")
    snapshot = client.snapshot(disk_id)
    content = client.cloud.home.snapshot(snapshot.id).read_bytes()
    assert content.endswith(f" changed by {snapshot.id}.layer".encode())
    assert [file.name for file in client.cloud.home.snapshots.iterdir()] == [f"{snapshot.id}.raw"]
    boot = instances.AttachedDiskSpec(
        auto_delete=True,
        disk_spec=instances.AttachedDiskSpec.DiskSpec(snapshot_id=snapshot.id, size=instance_size(client, disk_id)),
    )
    created = client.instances.Create(client.instance(boot, subnet_id))
    second = instances.CreateInstanceMetadata.FromString(created.metadata.value).instance_id
    reached(client.cloud, second, Instance.RUNNING)
    delete = snapshots.DeleteSnapshotRequest(snapshot_id=snapshot.id)
    assert code_of(client.snapshots.Delete, delete) is PRECONDITION
    image = client.done(
        client.images.Create(images.CreateImageRequest(folder_id=client.folder, snapshot_id=snapshot.id)), Image
    )
    assert (client.cloud.home.image(image.id).read_bytes(), image.min_disk_size) == (content, snapshot.disk_size)
    client.ended(client.instances.Delete(instances.DeleteInstanceRequest(instance_id=second)))
    assert client.snapshots.Delete(delete).done


def instance_size(client: Client, disk_id: str) -> int:
    return int(client.disks.Get(disks.GetDiskRequest(disk_id=disk_id)).size)


def test_a_machine_does_not_boot_from_a_data_disk_s_snapshot(client: Client, subnet_id: str) -> None:
    snapshot = client.snapshot(client.blank())
    boot = instances.AttachedDiskSpec(
        disk_spec=instances.AttachedDiskSpec.DiskSpec(snapshot_id=snapshot.id, size=5 * GIB)
    )
    assert code_of(client.instances.Create, client.instance(boot, subnet_id)) is grpc.StatusCode.UNIMPLEMENTED


def test_a_data_disk_is_created_from_a_snapshot_together_with_its_machine(client: Client, subnet_id: str) -> None:
    snapshot = client.snapshot(client.blank())
    image_id = client.disks.Get(
        disks.GetDiskRequest(disk_id=machine(client.cloud, subnet_id).boot_disk.disk_id)
    ).source_image_id
    boot = instances.AttachedDiskSpec(disk_spec=instances.AttachedDiskSpec.DiskSpec(image_id=image_id, size=5 * GIB))
    request = client.instance(boot, subnet_id)
    request.secondary_disk_specs.add(
        disk_spec=instances.AttachedDiskSpec.DiskSpec(snapshot_id=snapshot.id, size=4 * MIB)
    )
    created = client.instances.Create(request)
    instance_id = instances.CreateInstanceMetadata.FromString(created.metadata.value).instance_id
    (attached,) = reached(client.cloud, instance_id, Instance.RUNNING).secondary_disks
    assert client.cloud.home.disk(attached.disk_id).read_bytes()[:4] == b"rows"


def test_a_disk_that_moves_is_tried_again_and_then_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    async def moves(*_: object) -> float:
        attempts.append(1)
        raise FreezeFailed("it was written to", remedy="stop the machine")

    monkeypatch.setattr(client.cloud.cloud.host.builder, "copy_consistently", moves, raising=True)
    failed = client.ended(client.take(client.blank()))
    assert failed.error.message.endswith("is ERROR. it was written to; remedy: stop the machine")
    assert len(attempts) == 3
    (snapshot,) = client.snapshots.List(snapshots.ListSnapshotsRequest(folder_id=client.folder)).snapshots
    assert snapshot.status == Snapshot.ERROR
    assert code_of(client.copy, snapshot.id) is PRECONDITION
    assert client.snapshots.Delete(snapshots.DeleteSnapshotRequest(snapshot_id=snapshot.id)).done


def test_a_disk_cannot_be_deleted_while_its_snapshot_is_taken(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    disk_id = client.blank()
    end = asyncio.Event()

    async def waits(*_: object) -> float:
        await end.wait()
        raise HostError("no room")

    monkeypatch.setattr(client.cloud.cloud.host.builder, "copy_consistently", waits, raising=True)
    started = client.take(disk_id)
    snapshot_id = snapshots.CreateSnapshotMetadata.FromString(started.metadata.value).snapshot_id
    try:
        assert code_of(client.disks.Delete, disks.DeleteDiskRequest(disk_id=disk_id)) is PRECONDITION
        delete = snapshots.DeleteSnapshotRequest(snapshot_id=snapshot_id)
        assert code_of(client.snapshots.Delete, delete) is PRECONDITION
        assert code_of(client.copy, snapshot_id) is PRECONDITION
        assert code_of(client.take, disk_id) is PRECONDITION, "one snapshot of a disk at a time"
    finally:
        client.cloud._loop.call_soon_threadsafe(end.set)
    assert client.ended(started).error.message == f"Snapshot {snapshot_id} is ERROR. no room"
    assert client.disks.Delete(disks.DeleteDiskRequest(disk_id=disk_id)).done


def test_a_disk_cannot_be_deleted_while_it_is_copied(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = client.snapshot(client.blank())
    end, copied = asyncio.Event(), client.cloud.cloud.host.builder.copy

    async def waits(source: Path, out: Path, size: int = 0) -> None:
        await end.wait()
        await copied(source, out, size)

    monkeypatch.setattr(client.cloud.cloud.host.builder, "copy", waits, raising=True)
    started = client.copy(snapshot.id)
    disk_id = disks.CreateDiskMetadata.FromString(started.metadata.value).disk_id
    try:
        assert code_of(client.disks.Delete, disks.DeleteDiskRequest(disk_id=disk_id)) is PRECONDITION
    finally:
        client.cloud._loop.call_soon_threadsafe(end.set)
    assert client.done(started, Disk).id == disk_id
    assert client.disks.Delete(disks.DeleteDiskRequest(disk_id=disk_id)).done
    assert not client.cloud.home.disk(disk_id).exists()


def test_snapshots_have_yandexs_own_quotas(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud.sqlite")
    choose_quotas(store, QuotaSet.DEFAULT)
    kept = Snapshots(store, Home(tmp_path))
    for number in range(31):
        store.put(Snapshot(id=f"fd8{number}", disk_size=10 * GIB))
        check_quota(store, Snapshots.count_quota)
    kept.check_sizes(Snapshot(disk_size=90 * GIB))
    with pytest.raises(Refused, match=r"compute\.snapshots\.size"):
        kept.check_sizes(Snapshot(disk_size=91 * GIB))
    store.put(Snapshot(id="last"))
    with pytest.raises(Refused, match=r"compute\.snapshots\.count"):
        check_quota(store, Snapshots.count_quota)
    store.close()
