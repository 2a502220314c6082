"""Quotas: raised ones unless a home has Yandex Cloud's own; what is over them is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1.disk_service_pb2 import CreateDiskMetadata, CreateDiskRequest, UpdateDiskRequest
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.instance_pb2 import Instance, Resources
from yandex.cloud.vpc.v1.address_service_pb2 import (
    CreateAddressMetadata,
    CreateAddressRequest,
    DeleteAddressRequest,
    ExternalIpv4AddressSpec,
    InternalIpv4AddressSpec,
)
from yandex.cloud.vpc.v1.address_service_pb2_grpc import AddressServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.core.constants import GIB
from samovar.localcloud.api.errors import Refused
from samovar.localcloud.compute.disks.model import Disks
from samovar.localcloud.compute.instances.model import Instances
from samovar.localcloud.home.home import Home, QuotaSet
from samovar.localcloud.quota_manager.model import choose_quotas
from samovar.localcloud.registry import load_services, quotas
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.addresses.model import Ipam
from tests.support.simulated import Rest, RunningCloud

Start = Callable[..., RunningCloud]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a cloud in one home, again and again, with the quotas that are chosen then or were before."""
    with ExitStack() as running:

        def make(chosen: QuotaSet | None = None) -> RunningCloud:
            running.close()
            cloud = RunningCloud(tmp_path / "home")
            if chosen:
                store = Store(cloud.home.database)
                choose_quotas(store, chosen)
                store.close()
            return running.enter_context(cloud.serving())

        yield make


def _network(cloud: RunningCloud) -> str:
    operation = NetworkServiceStub(cloud.channel()).Create(CreateNetworkRequest(folder_id=cloud.endpoint.folder_id))
    return CreateNetworkMetadata.FromString(operation.metadata.value).network_id


def test_quotas_of_yandex_cloud_are_kept_until_others_are_chosen(start: Start) -> None:
    cloud = start(QuotaSet.DEFAULT)
    for _ in range(2):
        _network(cloud)
    cloud = start()
    with pytest.raises(grpc.RpcError) as refused:
        _network(cloud)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.details() == "Quota limit vpc.networks.count exceeded"
    status, error = Rest(cloud).call("POST", "/vpc/v1/networks", {"folderId": cloud.endpoint.folder_id})
    assert (status, error["code"]) == (429, 8)
    assert _network(start(QuotaSet.RAISED))


def test_a_home_has_raised_quotas_by_itself(start: Start) -> None:
    cloud = start()
    assert len({_network(cloud) for _ in range(3)}) == 3


def test_public_addresses_alone_count_for_the_quota_until_they_are_deleted(start: Start) -> None:
    cloud = start(QuotaSet.DEFAULT)
    folder_id, addresses = cloud.endpoint.folder_id, AddressServiceStub(cloud.channel())
    request = CreateSubnetRequest(
        folder_id=folder_id,
        network_id=_network(cloud),
        zone_id="ru-central1-a",
        v4_cidr_blocks=["10.1.0.0/24"],
    )
    subnet = SubnetServiceStub(cloud.channel()).Create(request)
    subnet_id = CreateSubnetMetadata.FromString(subnet.metadata.value).subnet_id
    internal = InternalIpv4AddressSpec(subnet_id=subnet_id)
    for _ in range(3):
        addresses.Create(CreateAddressRequest(folder_id=folder_id, internal_ipv4_address_spec=internal))
    external = CreateAddressRequest(folder_id=folder_id, external_ipv4_address_spec=ExternalIpv4AddressSpec())
    created = [addresses.Create(external) for _ in range(2)]
    with pytest.raises(grpc.RpcError, match=r"vpc\.externalStaticAddresses\.count"):
        addresses.Create(external)
    address_id = CreateAddressMetadata.FromString(created[0].metadata.value).address_id
    addresses.Delete(DeleteAddressRequest(address_id=address_id))
    addresses.Create(external)


def test_disks_are_counted_by_their_size_and_kind_too(start: Start) -> None:
    cloud = start(QuotaSet.DEFAULT)
    stub, folder_id = DiskServiceStub(cloud.channel()), cloud.endpoint.folder_id
    fast = CreateDiskRequest(folder_id=folder_id, zone_id="ru-central1-a", type_id="network-ssd", size=150 * GIB)
    slow = CreateDiskRequest(folder_id=folder_id, zone_id="ru-central1-a", type_id="network-hdd", size=500 * GIB)
    created = CreateDiskMetadata.FromString(stub.Create(fast).metadata.value)
    stub.Create(slow)
    with pytest.raises(grpc.RpcError, match=r"Quota limit compute\.ssdDisks\.size exceeded"):
        stub.Create(fast)
    grow = UpdateDiskRequest(disk_id=created.disk_id, size=201 * GIB, update_mask=FieldMask(paths=["size"]))
    with pytest.raises(grpc.RpcError, match=r"Quota limit compute\.ssdDisks\.size exceeded"):
        stub.Update(grow)
    grow.size = 200 * GIB
    stub.Update(grow)


@pytest.mark.parametrize(
    ("resources", "name"),
    [(Resources(cores=20, memory=GIB), "instanceCores.count"), (Resources(cores=2, memory=90 * GIB), "Memory.size")],
)
def test_machines_are_counted_by_their_size_too(tmp_path: Path, resources: Resources, name: str) -> None:
    store = Store(tmp_path / "cloud.sqlite")
    choose_quotas(store, QuotaSet.DEFAULT)
    instances = Instances(store, Disks(store, Home(tmp_path)), Ipam(store, 0))
    instance = Instance(id="first", resources=resources)
    instances.check_sizes(instance)
    store.put(instance)
    with pytest.raises(Refused, match=name):
        instances.check_sizes(Instance(id="second", resources=resources))
    store.close()


def test_a_machine_that_changes_its_size_counts_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud.sqlite")
    choose_quotas(store, QuotaSet.DEFAULT)
    instances = Instances(store, Disks(store, Home(tmp_path)), Ipam(store, 0))
    before = Instance(id="first", resources=Resources(cores=20, memory=GIB))
    store.put(before)
    for cores in (16, 32):
        instances.check_growth(before, Instance(id="first", resources=Resources(cores=cores, memory=GIB)))
    with pytest.raises(Refused, match=r"instanceCores\.count"):
        instances.check_growth(before, Instance(id="first", resources=Resources(cores=34, memory=GIB)))
    store.close()


def test_the_documented_quotas_are_the_default_ones() -> None:
    """The figures are from vpc-limits.md, compute-limits.md and load-balancer-limits.md of Yandex Cloud."""
    assert {quota.name: quota.limit for quota in quotas(load_services())} == {
        "compute.instanceCores.count": 32,
        "compute.instanceMemory.size": 128 * GIB,
        "compute.ssdDisks.size": 200 * GIB,
        "compute.hddDisks.size": 500 * GIB,
        "compute.filesystems.count": 100,
        "compute.ssdFilesystems.size": 512 * GIB,
        "compute.hddFilesystems.size": 512 * GIB,
        "compute.snapshots.size": 400 * GIB,
        "vpc.networks.count": 2,
        "vpc.subnets.count": 12,
        "vpc.externalStaticAddresses.count": 2,
        "vpc.routeTables.count": 8,
        "vpc.securityGroups.count": 10,
        "compute.instances.count": 12,
        "compute.instanceGroups.count": 10,
        "compute.disks.count": 32,
        "compute.images.count": 32,
        "compute.snapshots.count": 32,
        "compute.snapshotSchedules.count": 32,
        "ylb.networkLoadBalancers.count": 2,
        "ylb.targetGroups.count": 100,
    }
