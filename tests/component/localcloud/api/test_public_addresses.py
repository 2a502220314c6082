"""Public addresses of machines: dynamic ones go when a machine is stopped, and reserved ones are of a zone."""

from __future__ import annotations

import grpc
import pytest
from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.vpc.v1.address_pb2 import Address
from yandex.cloud.vpc.v1.address_service_pb2 import CreateAddressRequest, ExternalIpv4AddressSpec
from yandex.cloud.vpc.v1.address_service_pb2_grpc import AddressServiceStub

from tests.support.calls import code_of
from tests.support.machines import machine, reached
from tests.support.simulated import RunningCloud


@pytest.fixture
def stub(cloud: RunningCloud) -> InstanceServiceStub:
    return InstanceServiceStub(cloud.channel())


def _reserved(cloud: RunningCloud, zone: str) -> str:
    spec = ExternalIpv4AddressSpec(zone_id=zone)
    request = CreateAddressRequest(folder_id=cloud.endpoint.folder_id, external_ipv4_address_spec=spec)
    operation = AddressServiceStub(cloud.channel()).Create(request)
    return Address.FromString(operation.response.value).external_ipv4_address.address


def _addition(instance: Instance, address: str = "") -> rpc.AddInstanceOneToOneNatRequest:
    spec = rpc.OneToOneNatSpec(address=address)
    return rpc.AddInstanceOneToOneNatRequest(instance_id=instance.id, one_to_one_nat_spec=spec)


def _public(instance: Instance) -> str:
    return instance.network_interfaces[0].primary_v4_address.one_to_one_nat.address


def _stop(cloud: RunningCloud, instance: Instance) -> Instance:
    InstanceServiceStub(cloud.channel()).Stop(rpc.StopInstanceRequest(instance_id=instance.id))
    return reached(cloud, instance.id, Instance.STOPPED)


def _start(cloud: RunningCloud, instance: Instance) -> Instance:
    InstanceServiceStub(cloud.channel()).Start(rpc.StartInstanceRequest(instance_id=instance.id))
    return reached(cloud, instance.id, Instance.RUNNING)


def test_a_dynamic_address_goes_when_its_machine_is_stopped_and_another_one_comes(
    cloud: RunningCloud, stub: InstanceServiceStub, subnet_id: str
) -> None:
    instance = machine(cloud, subnet_id)
    stub.AddOneToOneNat(_addition(instance))
    before = _public(reached(cloud, instance.id, Instance.RUNNING))
    assert _public(_stop(cloud, instance)) == ""
    after = _public(_start(cloud, instance))
    assert after not in {"", before}
    stub.Restart(rpc.RestartInstanceRequest(instance_id=instance.id))
    assert _public(reached(cloud, instance.id, Instance.RUNNING)) == after


def test_a_stopped_machine_keeps_its_reserved_address(
    cloud: RunningCloud, stub: InstanceServiceStub, subnet_id: str
) -> None:
    instance, address = machine(cloud, subnet_id), _reserved(cloud, "ru-central1-a")
    stub.AddOneToOneNat(_addition(instance, address))
    assert _public(_stop(cloud, instance)) == address
    assert _public(_start(cloud, instance)) == address


def test_a_stopped_machine_gets_its_address_when_it_starts(
    cloud: RunningCloud, stub: InstanceServiceStub, subnet_id: str
) -> None:
    instance = _stop(cloud, machine(cloud, subnet_id))
    changed = Instance.FromString(stub.AddOneToOneNat(_addition(instance)).response.value)
    assert _public(changed) == ""
    assert code_of(stub.AddOneToOneNat, _addition(instance)) is grpc.StatusCode.FAILED_PRECONDITION
    assert _public(_start(cloud, instance))


def test_a_machine_takes_no_reserved_address_of_another_zone(
    cloud: RunningCloud, stub: InstanceServiceStub, subnet_id: str
) -> None:
    addition = _addition(machine(cloud, subnet_id), _reserved(cloud, "ru-central1-b"))
    assert code_of(stub.AddOneToOneNat, addition) is grpc.StatusCode.INVALID_ARGUMENT
