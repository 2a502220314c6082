"""Public images, images from disks and disks from images: what is made when, what waits for it, and what is refused."""

from __future__ import annotations

import grpc
import pytest
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
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub

from samovar.core.constants import GIB
from samovar.core.errors import HostError
from tests.support.calls import code_of
from tests.support.machines import machine, reached
from tests.support.simulated import RunningCloud
from tests.support.wait import wait_until

PUBLIC = "standard-images"
PRECONDITION, DENIED = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED


class Client:
    """The calls of these tests, short."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.cloud, channel = cloud, cloud.channel()
        self.disks, self.images = DiskServiceStub(channel), ImageServiceStub(channel)
        self.instances, self._operations = InstanceServiceStub(channel), OperationServiceStub(channel)

    def family(self, name: str) -> Image:
        return self.images.GetLatestByFamily(images.GetImageLatestByFamilyRequest(folder_id=PUBLIC, family=name))

    def disk(self, image_id: str, size: int = 10 * GIB) -> Operation:
        request = disks.CreateDiskRequest(
            folder_id=self.cloud.endpoint.folder_id, zone_id="ru-central1-a", size=size, image_id=image_id
        )
        return self.disks.Create(request)

    def image(self, disk_id: str, family: str = "") -> Operation:
        request = images.CreateImageRequest(folder_id=self.cloud.endpoint.folder_id, disk_id=disk_id, family=family)
        return self.images.Create(request)

    def done(self, operation: Operation) -> Operation:
        request = GetOperationRequest(operation_id=operation.id)
        wait_until("the operation ends", lambda: self._operations.Get(request).done)
        return self._operations.Get(request)

    def stop(self, instance: Instance) -> None:
        self.instances.Stop(instances.StopInstanceRequest(instance_id=instance.id))
        reached(self.cloud, instance.id, Instance.STOPPED)

    def content(self, image_id: str) -> str:
        return self.cloud.home.image(image_id).read_text(errors="replace")


@pytest.fixture
def client(cloud: RunningCloud) -> Client:
    return Client(cloud)


def _image_id(operation: Operation) -> str:
    return images.CreateImageMetadata.FromString(operation.metadata.value).image_id


def _disk_id(operation: Operation) -> str:
    return disks.CreateDiskMetadata.FromString(operation.metadata.value).disk_id


def test_a_public_image_is_built_when_a_disk_first_needs_it(client: Client) -> None:
    image = client.family("debian-12")
    assert image.status == Image.READY
    assert not client.cloud.home.image(image.id).exists()
    first = client.disk(image.id)
    assert not first.done
    assert first.description == "Create disk"
    disk = Disk.FromString(client.done(first).response.value)
    assert (disk.status, disk.source_image_id) == (Disk.READY, image.id)
    assert client.content(image.id) == "standard bookworm"
    assert client.disk(image.id).done


def test_a_public_image_that_cannot_be_built_is_reported_and_tried_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise HostError("the mirror is away", remedy="look at it")

    image = client.family("debian-13")
    with monkeypatch.context() as patch:
        patch.setattr(client.cloud.cloud.host.builder, "make_public_image", fails, raising=True)
        failed = client.done(client.disk(image.id))
    assert "is ERROR. the mirror is away; remedy: look at it" in failed.error.message
    assert Disk.FromString(client.done(client.disk(image.id)).response.value).status == Disk.READY


def test_public_images_are_for_reading(client: Client) -> None:
    image = client.family("ubuntu-2204-lts")
    assert image.description.startswith("Debian 13 in the place of Ubuntu")
    listed = client.images.List(images.ListImagesRequest(folder_id=PUBLIC)).images
    assert {"debian-12", "debian-13", "ubuntu-1804-lts"} <= {each.family for each in listed}
    assert code_of(client.images.Delete, images.DeleteImageRequest(image_id=image.id)) is DENIED
    assert code_of(client.images.Update, images.UpdateImageRequest(image_id=image.id)) is DENIED
    own = images.ListImagesRequest(folder_id=client.cloud.endpoint.folder_id)
    assert list(client.images.List(own).images) == []


def test_an_image_is_created_from_a_disk_that_no_machine_uses(client: Client, subnet_id: str) -> None:
    instance = machine(client.cloud, subnet_id)
    disk_id = instance.boot_disk.disk_id
    create = images.CreateImageRequest(folder_id=client.cloud.endpoint.folder_id, disk_id=disk_id)
    assert code_of(client.images.Create, create) is PRECONDITION
    client.stop(instance)
    client.cloud.home.disk(disk_id).write_text("what the machine wrote")
    created = client.done(client.image(disk_id, family="mine"))
    image = Image.FromString(created.response.value)
    assert (image.status, image.min_disk_size, image.family) == (Image.READY, 5 * GIB, "mine")
    assert client.content(image.id).endswith(f"changed by {disk_id}")


def test_a_data_disk_that_no_machine_started_with_is_its_image(client: Client, subnet_id: str) -> None:
    public, instance = client.family("debian-13"), machine(client.cloud, subnet_id)
    disk_id = _disk_id(client.done(client.disk(public.id)))
    client.stop(instance)
    spec = instances.AttachedDiskSpec(disk_id=disk_id)
    attach = instances.AttachInstanceDiskRequest(instance_id=instance.id, attached_disk_spec=spec)
    client.instances.AttachDisk(attach)
    client.instances.DetachDisk(instances.DetachInstanceDiskRequest(instance_id=instance.id, disk_id=disk_id))
    image_id = _image_id(client.done(client.image(disk_id)))
    assert client.content(image_id).startswith(client.content(public.id))


def test_a_disk_that_no_machine_started_from_is_its_image(client: Client) -> None:
    public = client.family("debian-13")
    disk_id = _disk_id(client.done(client.disk(public.id)))
    image_id = _image_id(client.done(client.image(disk_id)))
    assert client.content(image_id) == client.content(public.id)


def test_an_image_that_cannot_be_created_has_status_error_and_can_be_deleted(
    client: Client, monkeypatch: pytest.MonkeyPatch, subnet_id: str
) -> None:
    async def fails(*_: object) -> None:
        raise HostError("no room")

    instance = machine(client.cloud, subnet_id)
    client.stop(instance)
    client.cloud.home.disk(instance.boot_disk.disk_id).touch()
    monkeypatch.setattr(client.cloud.cloud.host.builder, "merge", fails, raising=True)
    failed = client.done(client.image(instance.boot_disk.disk_id, family="mine"))
    image_id = _image_id(failed)
    assert failed.error.message == f"Image {image_id} is ERROR. no room"
    latest = images.GetImageLatestByFamilyRequest(folder_id=client.cloud.endpoint.folder_id, family="mine")
    assert code_of(client.images.GetLatestByFamily, latest) is grpc.StatusCode.NOT_FOUND
    assert client.images.Delete(images.DeleteImageRequest(image_id=image_id)).done


def test_a_data_disk_whose_file_is_missing_is_reported_and_not_created_anew(client: Client, subnet_id: str) -> None:
    instance, folder_id = machine(client.cloud, subnet_id), client.cloud.endpoint.folder_id
    client.stop(instance)
    blank = disks.CreateDiskRequest(folder_id=folder_id, zone_id="ru-central1-a", size=4 * GIB)
    disk_id = _disk_id(client.disks.Create(blank))
    spec = instances.AttachedDiskSpec(disk_id=disk_id)
    client.instances.AttachDisk(instances.AttachInstanceDiskRequest(instance_id=instance.id, attached_disk_spec=spec))
    file = client.cloud.home.disk(disk_id)
    file.rename(file.with_suffix(".away"))
    failed = client.done(client.instances.Start(instances.StartInstanceRequest(instance_id=instance.id)))
    assert f"the file of disk {disk_id} is gone: {file}" in failed.error.message
    assert not file.exists()
    file.with_suffix(".away").rename(file)
    client.done(client.instances.Start(instances.StartInstanceRequest(instance_id=instance.id)))
    reached(client.cloud, instance.id, Instance.RUNNING)


def test_a_boot_disk_cannot_be_a_secondary_disk_nor_a_secondary_disk_a_boot_disk(
    client: Client, subnet_id: str
) -> None:
    instance = machine(client.cloud, subnet_id)
    client.stop(instance)
    disk_id = _disk_id(client.done(client.disk(client.family("debian-13").id)))
    spec = instances.AttachedDiskSpec(disk_id=disk_id)
    client.instances.AttachDisk(instances.AttachInstanceDiskRequest(instance_id=instance.id, attached_disk_spec=spec))
    detach = instances.DetachInstanceDiskRequest(instance_id=instance.id, disk_id=disk_id)
    client.instances.Start(instances.StartInstanceRequest(instance_id=instance.id))
    reached(client.cloud, instance.id, Instance.RUNNING)
    assert client.cloud.home.disk(disk_id).stat().st_size == 10 * GIB
    client.stop(instance)
    client.instances.DetachDisk(detach)
    boot = instances.CreateInstanceRequest(
        folder_id=client.cloud.endpoint.folder_id,
        zone_id="ru-central1-a",
        platform_id="standard-v3",
        resources_spec=instances.ResourcesSpec(memory=2 * GIB, cores=2),
        boot_disk_spec=spec,
        network_interface_specs=[
            instances.NetworkInterfaceSpec(subnet_id=subnet_id, primary_v4_address_spec=instances.PrimaryAddressSpec())
        ],
    )
    assert code_of(client.instances.Create, boot) is grpc.StatusCode.UNIMPLEMENTED
