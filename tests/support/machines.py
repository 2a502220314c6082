"""Instances on the simulated host, made as a client makes them."""

from __future__ import annotations

from collections.abc import Sequence

from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instance_service_pb2 import (
    AttachedDiskSpec,
    CreateInstanceMetadata,
    CreateInstanceRequest,
    GetInstanceRequest,
    NetworkInterfaceSpec,
    PrimaryAddressSpec,
    ResourcesSpec,
)
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from samovar.core.waiting import Pending, wait_for
from tests.support.simulated import RunningCloud

SIZE = 5 * 1024**3
DIGEST = "a" * 64


def image(cloud: RunningCloud) -> Image:
    """Return the image that every test machine starts from."""
    (cloud.home.uploads / f"{DIGEST}.raw").write_bytes(bytes(4096))
    request = CreateImageRequest(
        folder_id=cloud.endpoint.folder_id, uri=f"https://{cloud.endpoint.rest}/storage/images/{DIGEST}.raw"
    )
    return Image.FromString(ImageServiceStub(cloud.channel()).Create(request).response.value)


def machine(
    cloud: RunningCloud,
    subnet_id: str,
    *,
    name: str = "",
    hostname: str = "",
    security_group_ids: list[str] | None = None,
    disks: Sequence[AttachedDiskSpec] = (),
) -> Instance:
    """Create an instance and return it once it runs."""
    nic = NetworkInterfaceSpec(
        subnet_id=subnet_id, primary_v4_address_spec=PrimaryAddressSpec(), security_group_ids=security_group_ids
    )
    disk = AttachedDiskSpec(auto_delete=True, disk_spec=AttachedDiskSpec.DiskSpec(image_id=image(cloud).id, size=SIZE))
    request = CreateInstanceRequest(
        folder_id=cloud.endpoint.folder_id,
        zone_id="ru-central1-a",
        platform_id="standard-v3",
        name=name,
        hostname=hostname,
        resources_spec=ResourcesSpec(memory=2 * 1024**3, cores=2),
        boot_disk_spec=disk,
        secondary_disk_specs=disks,
        network_interface_specs=[nic],
    )
    stub = InstanceServiceStub(cloud.channel())
    created = CreateInstanceMetadata.FromString(stub.Create(request).metadata.value)
    return reached(cloud, created.instance_id, Instance.RUNNING)


def reached(cloud: RunningCloud, instance_id: str, status: Instance.Status.ValueType) -> Instance:
    """Return the instance once it has that status; a simulated host needs no longer than a step of the loop."""
    stub = InstanceServiceStub(cloud.channel())

    def get() -> Instance | Pending:
        instance: Instance = stub.Get(GetInstanceRequest(instance_id=instance_id))
        return instance if instance.status == status else Pending(Instance.Status.Name(instance.status))

    return wait_for(f"status of {instance_id}", get, timeout=10, interval=0.02, ceiling=0.1)
