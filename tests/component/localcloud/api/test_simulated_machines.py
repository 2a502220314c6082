"""Simulated machines take what a container cannot: file systems, several interfaces, and disks while they run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import filesystem_service_pb2 as filesystems
from yandex.cloud.compute.v1 import instance_service_pb2 as instances
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.filesystem_pb2 import Filesystem
from yandex.cloud.compute.v1.filesystem_service_pb2_grpc import FilesystemServiceStub
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.core.constants import GIB
from tests.support.calls import code_of
from tests.support.machines import machine, reached
from tests.support.simulated import RunningCloud

ZONE = "ru-central1-a"
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[RunningCloud]:
    with RunningCloud(tmp_path / "home", simulated=True).serving() as running:
        yield running


@pytest.fixture
def network(cloud: RunningCloud) -> Network:
    request = CreateNetworkRequest(folder_id=cloud.endpoint.folder_id)
    return Network.FromString(NetworkServiceStub(cloud.channel()).Create(request).response.value)


@pytest.fixture
def subnet_id(cloud: RunningCloud, network: Network) -> str:
    folder_id, channel = cloud.endpoint.folder_id, cloud.channel()
    request = CreateSubnetRequest(
        folder_id=folder_id, network_id=network.id, zone_id=ZONE, v4_cidr_blocks=["10.1.0.0/24"]
    )
    operation = SubnetServiceStub(channel).Create(request)
    return CreateSubnetMetadata.FromString(operation.metadata.value).subnet_id


def test_a_running_machine_gets_and_gives_back_a_disk(cloud: RunningCloud, subnet_id: str) -> None:
    stub, instance = InstanceServiceStub(cloud.channel()), machine(cloud, subnet_id)
    request = disks.CreateDiskRequest(folder_id=cloud.endpoint.folder_id, zone_id=ZONE, size=GIB)
    disk = Disk.FromString(DiskServiceStub(cloud.channel()).Create(request).response.value)
    spec = instances.AttachedDiskSpec(disk_id=disk.id)
    attach = instances.AttachInstanceDiskRequest(instance_id=instance.id, attached_disk_spec=spec)
    attached = Instance.FromString(stub.AttachDisk(attach).response.value)
    assert (attached.status, attached.secondary_disks[0].disk_id) == (Instance.RUNNING, disk.id)
    detach = instances.DetachInstanceDiskRequest(instance_id=instance.id, disk_id=disk.id)
    assert not Instance.FromString(stub.DetachDisk(detach).response.value).secondary_disks


def test_a_file_system_is_shared_grows_and_cannot_be_deleted_while_it_is_attached(
    cloud: RunningCloud, subnet_id: str
) -> None:
    stub, shared = InstanceServiceStub(cloud.channel()), FilesystemServiceStub(cloud.channel())
    create = filesystems.CreateFilesystemRequest(folder_id=cloud.endpoint.folder_id, zone_id=ZONE, size=GIB)
    filesystem = Filesystem.FromString(shared.Create(create).response.value)
    spec = instances.AttachedFilesystemSpec(filesystem_id=filesystem.id, device_name="fs")
    owners = [machine(cloud, subnet_id).id for _ in range(2)]
    for owner in owners:
        request = instances.AttachInstanceFilesystemRequest(instance_id=owner, attached_filesystem_spec=spec)
        assert code_of(stub.AttachFilesystem, request) is PRECONDITION, "it runs"
        stub.Stop(instances.StopInstanceRequest(instance_id=owner))
        reached(cloud, owner, Instance.STOPPED)
        attached = Instance.FromString(stub.AttachFilesystem(request).response.value)
        assert [(each.filesystem_id, each.device_name) for each in attached.filesystems] == [(filesystem.id, "fs")]
        assert code_of(stub.AttachFilesystem, request) is PRECONDITION
    grow = filesystems.UpdateFilesystemRequest(filesystem_id=filesystem.id, size=2 * GIB)
    assert Filesystem.FromString(shared.Update(grow).response.value).size == 2 * GIB
    grow.size = GIB
    assert code_of(shared.Update, grow) is grpc.StatusCode.INVALID_ARGUMENT
    delete = filesystems.DeleteFilesystemRequest(filesystem_id=filesystem.id)
    assert code_of(shared.Delete, delete) is PRECONDITION
    for owner in owners:
        stub.DetachFilesystem(instances.DetachInstanceFilesystemRequest(instance_id=owner, device_name="fs"))
    shared.Delete(delete)


def test_a_stopped_machine_gets_more_interfaces_and_keeps_one(
    cloud: RunningCloud, subnet_id: str, network: Network
) -> None:
    stub, instance = InstanceServiceStub(cloud.channel()), machine(cloud, subnet_id)
    attach = instances.AttachInstanceNetworkInterfaceRequest(
        instance_id=instance.id,
        subnet_id=subnet_id,
        network_interface_index="2",
        security_group_ids=[network.default_security_group_id],
        primary_v4_address_spec=instances.PrimaryAddressSpec(),
    )
    assert code_of(stub.AttachNetworkInterface, attach) is PRECONDITION
    stub.Stop(instances.StopInstanceRequest(instance_id=instance.id))
    reached(cloud, instance.id, Instance.STOPPED)
    two = Instance.FromString(stub.AttachNetworkInterface(attach).response.value)
    assert [nic.index for nic in two.network_interfaces] == ["0", "2"]
    assert len({nic.primary_v4_address.address for nic in two.network_interfaces}) == 2
    detach = instances.DetachInstanceNetworkInterfaceRequest(instance_id=instance.id, network_interface_index="0")
    one = Instance.FromString(stub.DetachNetworkInterface(detach).response.value)
    assert [nic.index for nic in one.network_interfaces] == ["2"]
    detach.network_interface_index = "2"
    assert code_of(stub.DetachNetworkInterface, detach) is PRECONDITION
    stub.Start(instances.StartInstanceRequest(instance_id=instance.id))
    reached(cloud, instance.id, Instance.RUNNING)
