"""Changes of a machine, of its disks and of its group."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.access.access_pb2 import ListAccessBindingsRequest, SetAccessBindingsRequest
from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import instance_service_pb2 as instances
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_pb2 import Instance, SerialPortSettings
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup, ManagedInstance
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.compute.v1.maintenance_pb2 import MaintenancePolicy
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.core.constants import GIB
from samovar.core.errors import HostError
from samovar.localcloud.compute.instances import controller
from samovar.localcloud.machines.model import Observed
from samovar.localcloud.network.model import Network
from tests.support.calls import SubnetOfNetwork, account, binding, code_of, create_subnet, grant
from tests.support.machines import image, machine, reached
from tests.support.simulated import RunningCloud
from tests.support.wait import wait_until

PRECONDITION, UNIMPLEMENTED = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNIMPLEMENTED


def _disk(cloud: RunningCloud, size: int = GIB) -> Disk:
    request = disks.CreateDiskRequest(folder_id=cloud.endpoint.folder_id, zone_id="ru-central1-a", size=size)
    return Disk.FromString(DiskServiceStub(cloud.channel()).Create(request).response.value)


def _stopped(cloud: RunningCloud, place: SubnetOfNetwork) -> Instance:
    instance = machine(cloud, place.subnet_id)
    InstanceServiceStub(cloud.channel()).Stop(instances.StopInstanceRequest(instance_id=instance.id))
    return reached(cloud, instance.id, Instance.STOPPED)


def test_a_public_address_comes_and_goes(cloud: RunningCloud, place: SubnetOfNetwork) -> None:
    stub, instance = InstanceServiceStub(cloud.channel()), machine(cloud, place.subnet_id)
    add = instances.AddInstanceOneToOneNatRequest(instance_id=instance.id)
    with_address = Instance.FromString(stub.AddOneToOneNat(add).response.value)
    address = with_address.network_interfaces[0].primary_v4_address.one_to_one_nat.address
    assert address.startswith("127.66.")
    assert code_of(stub.AddOneToOneNat, add) is PRECONDITION
    wait_until("the address arrives", lambda: str(cloud.fabric.networks[place.network_id].nics[0].public) == address)
    remove = instances.RemoveInstanceOneToOneNatRequest(instance_id=instance.id, network_interface_index="0")
    stub.RemoveOneToOneNat(remove)
    assert code_of(stub.RemoveOneToOneNat, remove) is PRECONDITION
    wait_until("the address goes", lambda: cloud.fabric.networks[place.network_id].nics[0].public is None)
    elsewhere = instances.AddInstanceOneToOneNatRequest(instance_id=instance.id, network_interface_index="1")
    assert code_of(stub.AddOneToOneNat, elsewhere) is grpc.StatusCode.NOT_FOUND


def test_a_hostname_is_unique_in_its_network(cloud: RunningCloud, place: SubnetOfNetwork) -> None:
    first = machine(cloud, place.subnet_id, hostname="db")
    with pytest.raises(grpc.RpcError, match=r"hostname db\.ru-central1\.internal already exists") as refused:
        machine(cloud, place.subnet_id, hostname="db")
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert machine(cloud, create_subnet(cloud).subnet_id, hostname="db").fqdn == first.fqdn
    InstanceServiceStub(cloud.channel()).Delete(instances.DeleteInstanceRequest(instance_id=first.id))
    wait_until("the first one is gone", lambda: first.id not in cloud.driver.machines)
    assert machine(cloud, place.subnet_id, hostname="db").fqdn == first.fqdn


@pytest.mark.parametrize(
    ("exit_code", "status"), [(0, Instance.STOPPED), (1, Instance.CRASHED), (None, Instance.CRASHED)]
)
def test_a_machine_that_ended_by_itself_shows_how_within_two_seconds(
    cloud: RunningCloud, place: SubnetOfNetwork, exit_code: int | None, status: Instance.Status.ValueType
) -> None:
    created, began = machine(cloud, place.subnet_id), time.monotonic()
    cloud.driver.machines[created.id] = Observed(running=False, exit_code=exit_code)
    reached(cloud, created.id, status)
    assert time.monotonic() - began < 2


def test_a_machine_that_crashed_is_started_again_unless_it_is_stopped(
    cloud: RunningCloud, place: SubnetOfNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "CRASHED_FOR", 0.5)
    started, stopped = machine(cloud, place.subnet_id), machine(cloud, place.subnet_id)
    for each in (started, stopped):
        cloud.driver.crash(each.id)
        reached(cloud, each.id, Instance.CRASHED)
    InstanceServiceStub(cloud.channel()).Stop(instances.StopInstanceRequest(instance_id=stopped.id))
    reached(cloud, started.id, Instance.RUNNING)
    reached(cloud, stopped.id, Instance.STOPPED)


def test_a_network_that_fails_on_the_host_delays_no_other_resource(
    cloud: RunningCloud, place: SubnetOfNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = cloud.fabric.apply

    async def apply_others(network: Network) -> None:
        if network.id != place.network_id:
            raise HostError(f"no room for {network.id}")
        await apply(network)

    monkeypatch.setattr(cloud.fabric, "apply", apply_others)
    request = CreateNetworkRequest(folder_id=cloud.endpoint.folder_id)
    NetworkServiceStub(cloud.channel()).Create(request)
    created = machine(cloud, place.subnet_id)
    cloud.driver.crash(created.id)
    reached(cloud, created.id, Instance.CRASHED)


def test_maintenance_and_the_serial_port_change_while_a_machine_runs(
    cloud: RunningCloud, place: SubnetOfNetwork
) -> None:
    stub, instance = InstanceServiceStub(cloud.channel()), machine(cloud, place.subnet_id)
    request = instances.UpdateInstanceRequest(
        instance_id=instance.id,
        update_mask=FieldMask(paths=["maintenance_policy", "maintenance_grace_period", "serial_port_settings"]),
        maintenance_policy=MaintenancePolicy.MIGRATE,
        maintenance_grace_period=Duration(seconds=60),
        serial_port_settings=SerialPortSettings(ssh_authorization=SerialPortSettings.OS_LOGIN),
    )
    changed = Instance.FromString(stub.Update(request).response.value)
    assert (changed.maintenance_policy, changed.maintenance_grace_period.seconds) == (MaintenancePolicy.MIGRATE, 60)
    assert changed.serial_port_settings == request.serial_port_settings


@pytest.mark.parametrize(
    ("kind", "size", "code"),
    [
        ("network-fast", 93 * GIB, grpc.StatusCode.NOT_FOUND),
        ("network-ssd-nonreplicated", 10 * GIB, grpc.StatusCode.INVALID_ARGUMENT),
        ("network-ssd-io-m3", 186 * GIB, grpc.StatusCode.OK),
    ],
)
def test_a_disk_has_a_type_and_a_size_that_the_type_offers(
    cloud: RunningCloud, kind: str, size: int, code: grpc.StatusCode
) -> None:
    request = disks.CreateDiskRequest(
        folder_id=cloud.endpoint.folder_id, zone_id="ru-central1-a", size=size, type_id=kind
    )
    assert code_of(DiskServiceStub(cloud.channel()).Create, request) is code


def test_machines_are_listed_by_status_and_in_an_order(cloud: RunningCloud, place: SubnetOfNetwork) -> None:
    stub, stopped = InstanceServiceStub(cloud.channel()), _stopped(cloud, place)
    runs = machine(cloud, place.subnet_id)

    def ids(**asked: str) -> list[str]:
        request = instances.ListInstancesRequest(folder_id=cloud.endpoint.folder_id, **asked)  # type: ignore[arg-type]
        return [each.id for each in stub.List(request).instances]

    assert ids(filter='status="STOPPED"') == [stopped.id]
    assert ids(order_by="id desc") == sorted([stopped.id, runs.id], reverse=True)


def test_a_stopped_machine_gets_and_gives_back_a_disk(cloud: RunningCloud, place: SubnetOfNetwork) -> None:
    stub, instance, disk = InstanceServiceStub(cloud.channel()), _stopped(cloud, place), _disk(cloud)
    spec = instances.AttachedDiskSpec(disk_id=disk.id, device_name="data")
    attach = instances.AttachInstanceDiskRequest(instance_id=instance.id, attached_disk_spec=spec)
    attached = Instance.FromString(stub.AttachDisk(attach).response.value)
    assert [(each.disk_id, each.device_name) for each in attached.secondary_disks] == [(disk.id, "data")]
    assert code_of(stub.AttachDisk, attach) is grpc.StatusCode.INVALID_ARGUMENT
    delete = disks.DeleteDiskRequest(disk_id=disk.id)
    assert code_of(DiskServiceStub(cloud.channel()).Delete, delete) is PRECONDITION
    detach = instances.DetachInstanceDiskRequest(instance_id=instance.id, device_name="data")
    assert not Instance.FromString(stub.DetachDisk(detach).response.value).secondary_disks
    assert code_of(stub.DetachDisk, detach) is grpc.StatusCode.NOT_FOUND
    DiskServiceStub(cloud.channel()).Delete(delete)


def test_a_disk_of_another_zone_cannot_be_attached(cloud: RunningCloud, place: SubnetOfNetwork) -> None:
    instance = _stopped(cloud, place)
    request = disks.CreateDiskRequest(folder_id=cloud.endpoint.folder_id, zone_id="ru-central1-b", size=GIB)
    disk = Disk.FromString(DiskServiceStub(cloud.channel()).Create(request).response.value)
    attach = instances.AttachInstanceDiskRequest(
        instance_id=instance.id, attached_disk_spec=instances.AttachedDiskSpec(disk_id=disk.id)
    )
    with pytest.raises(grpc.RpcError, match="is in ru-central1-b, the instance in ru-central1-a") as refused:
        InstanceServiceStub(cloud.channel()).AttachDisk(attach)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not DiskServiceStub(cloud.channel()).Get(disks.GetDiskRequest(disk_id=disk.id)).instance_ids


def test_a_new_machine_has_no_two_disks_of_one_name(cloud: RunningCloud, place: SubnetOfNetwork) -> None:
    data = [
        instances.AttachedDiskSpec(device_name="data", disk_spec=instances.AttachedDiskSpec.DiskSpec(size=GIB))
        for _ in range(2)
    ]
    with pytest.raises(grpc.RpcError, match="has a disk data already") as refused:
        machine(cloud, place.subnet_id, disks=data)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_disk_cannot_be_attached_to_a_running_machine(cloud: RunningCloud, place: SubnetOfNetwork) -> None:
    instance = machine(cloud, place.subnet_id)
    spec = instances.AttachedDiskSpec(disk_id=_disk(cloud).id)
    attach = instances.AttachInstanceDiskRequest(instance_id=instance.id, attached_disk_spec=spec)
    assert code_of(InstanceServiceStub(cloud.channel()).AttachDisk, attach) is UNIMPLEMENTED


def _resize(cloud: RunningCloud, disk_id: str, size: int) -> Operation:
    request = disks.UpdateDiskRequest(disk_id=disk_id, size=size, update_mask=FieldMask(paths=["size"]))
    return DiskServiceStub(cloud.channel()).Update(request)


def test_a_disk_grows_and_never_shrinks(cloud: RunningCloud) -> None:
    disk = _disk(cloud)
    assert Disk.FromString(_resize(cloud, disk.id, 2 * GIB).response.value).size == 2 * GIB
    assert (cloud.home.disks / f"{disk.id}.raw").stat().st_size == 2 * GIB
    assert code_of(_resize, cloud, disk.id, GIB) is grpc.StatusCode.INVALID_ARGUMENT
    renamed = disks.UpdateDiskRequest(disk_id=disk.id, name="data", update_mask=FieldMask(paths=["name"]))
    kept = Disk.FromString(DiskServiceStub(cloud.channel()).Update(renamed).response.value)
    assert (kept.name, kept.size) == ("data", 2 * GIB)


def test_a_refused_change_leaves_the_file_of_a_disk(cloud: RunningCloud) -> None:
    stub, other, disk = DiskServiceStub(cloud.channel()), _disk(cloud), _disk(cloud)
    stub.Update(disks.UpdateDiskRequest(disk_id=other.id, name="taken", update_mask=FieldMask(paths=["name"])))
    both = FieldMask(paths=["name", "size"])
    larger = disks.UpdateDiskRequest(disk_id=disk.id, name="taken", size=2 * GIB, update_mask=both)
    assert code_of(stub.Update, larger) is grpc.StatusCode.ALREADY_EXISTS
    assert (cloud.home.disks / f"{disk.id}.raw").stat().st_size == GIB


def test_the_boot_disk_of_a_running_machine_grows(cloud: RunningCloud, place: SubnetOfNetwork) -> None:
    instance = machine(cloud, place.subnet_id)
    grown = Disk.FromString(_resize(cloud, instance.boot_disk.disk_id, 50 * GIB).response.value)
    assert (grown.size, grown.source_image_id != "") == (50 * GIB, True)
    assert (cloud.home.disks / f"{grown.id}.raw").stat().st_size == 50 * GIB


def test_disks_machines_and_images_bear_bindings(cloud: RunningCloud, place: SubnetOfNetwork) -> None:
    channel = cloud.channel()
    targets: list[tuple[Any, str]] = [
        (DiskServiceStub(channel), _disk(cloud).id),
        (ImageServiceStub(channel), image(cloud).id),
        (InstanceServiceStub(channel), machine(cloud, place.subnet_id).id),
        (InstanceGroupServiceStub(channel), _group(cloud, place).id),
    ]
    for stub, resource_id in targets:
        request = SetAccessBindingsRequest(resource_id=resource_id, access_bindings=[binding("viewer", "a")])
        assert stub.SetAccessBindings(request).done
        listed = stub.ListAccessBindings(ListAccessBindingsRequest(resource_id=resource_id)).access_bindings
        assert list(listed) == [binding("viewer", "a")]


YAML = """
name: web
service_account_id: {account_id}
instance_template:
  name: web-{{instance.index}}
  platform_id: standard-v3
  resources_spec: {{memory: 2g, cores: 2}}
  boot_disk_spec: {{mode: READ_WRITE, disk_spec: {{image_id: {image_id}, type_id: network-ssd, size: 5g}}}}
  network_interface_specs: [{{network_id: {network_id}, subnet_ids: [{subnet_id}], primary_v4_address_spec: {{}}}}]
scale_policy: {{fixed_scale: {{size: {size}}}}}
deploy_policy: {{max_unavailable: 1, max_expansion: 0}}
allocation_policy: {{zones: [{{zone_id: ru-central1-a}}]}}
"""


def _group(cloud: RunningCloud, place: SubnetOfNetwork, size: int = 2) -> InstanceGroup:
    """A settled group, made from YAML."""
    request = groups.CreateInstanceGroupFromYamlRequest(
        folder_id=cloud.endpoint.folder_id, instance_group_yaml=_yaml(cloud, place, size)
    )
    operation = InstanceGroupServiceStub(cloud.channel()).CreateFromYaml(request)
    return InstanceGroup.FromString(_finished(cloud, operation).response.value)


def _yaml(cloud: RunningCloud, place: SubnetOfNetwork, size: int, account_id: str = "") -> str:
    return YAML.format(
        account_id=account_id or _group_account(cloud),
        image_id=image(cloud).id,
        network_id=place.network_id,
        subnet_id=place.subnet_id,
        size=size,
    )


def _group_account(cloud: RunningCloud) -> str:
    account_id, _ = account(cloud, "groups")
    for role in ("compute.editor", "vpc.user"):
        grant(cloud, role, account_id)
    return account_id


def _finished(cloud: RunningCloud, operation: Operation) -> Operation:
    stub, request = OperationServiceStub(cloud.channel()), GetOperationRequest(operation_id=operation.id)
    wait_until("the operation ends", lambda: stub.Get(request).done)
    ended: Operation = stub.Get(request)
    assert not ended.HasField("error"), ended.error
    return ended


def _members(cloud: RunningCloud, group_id: str) -> list[ManagedInstance]:
    request = groups.ListInstanceGroupInstancesRequest(instance_group_id=group_id)
    return list(InstanceGroupServiceStub(cloud.channel()).ListInstances(request).instances)


def test_a_group_is_validated_created_and_updated_from_yaml(cloud: RunningCloud, place: SubnetOfNetwork) -> None:
    stub, group = InstanceGroupServiceStub(cloud.channel()), _group(cloud, place)
    assert (group.name, len(_members(cloud, group.id))) == ("web", 2)
    assert group.instance_template.resources_spec.memory == 2 * GIB
    text = _yaml(cloud, place, 3, group.service_account_id)
    update = groups.UpdateInstanceGroupFromYamlRequest(instance_group_id=group.id, instance_group_yaml=text)
    _finished(cloud, stub.UpdateFromYaml(update))
    assert len(_members(cloud, group.id)) == 3
    update.instance_group_yaml = text.replace("size: 3", "size: 101")
    with pytest.raises(grpc.RpcError, match=r"scale_policy\.fixed_scale\.size"):
        stub.UpdateFromYaml(update)


def test_members_leave_for_good_or_for_others(cloud: RunningCloud, place: SubnetOfNetwork) -> None:
    stub, group = InstanceGroupServiceStub(cloud.channel()), _group(cloud, place)
    first, second = _members(cloud, group.id)
    leave = groups.DeleteInstancesRequest(
        instance_group_id=group.id, managed_instance_ids=[first.id], create_another=True
    )
    _finished(cloud, stub.DeleteInstances(leave))
    after = {member.id for member in _members(cloud, group.id)}
    assert (len(after), first.id in after, second.id in after) == (2, False, True)
    shrink = groups.DeleteInstancesRequest(instance_group_id=group.id, managed_instance_ids=[second.id, second.id])
    shrunk = stub.DeleteInstances(shrink)
    assert code_of(stub.DeleteInstances, shrink) in {grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND}
    _finished(cloud, shrunk)
    assert {member.id for member in _members(cloud, group.id)} == after - {second.id}
    actual = stub.Get(groups.GetInstanceGroupRequest(instance_group_id=group.id))
    assert actual.scale_policy.fixed_scale.size == 1
    del shrink.managed_instance_ids[:]
    shrink.managed_instance_ids.extend(after - {second.id})
    assert code_of(stub.DeleteInstances, shrink) is PRECONDITION
