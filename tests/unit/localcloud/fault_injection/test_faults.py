"""Faults on request: which calls and which machines each strikes."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from yandex.cloud.compute.v1 import disk_service_pb2, instance_service_pb2
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups
from yandex.cloud.operation import operation_service_pb2 as operations
from yandex.cloud.vpc.v1 import network_service_pb2, subnet_service_pb2

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.fault_injection.fault_routes import checked
from samovar.localcloud.fault_injection.faults import Effect, Fault, metadata_of, strikes_call, strikes_start, zones_of

CREATE: MethodDescriptor = instance_service_pb2.DESCRIPTOR.services_by_name["InstanceService"].methods_by_name["Create"]
GET: MethodDescriptor = operations.DESCRIPTOR.services_by_name["OperationService"].methods_by_name["Get"]


def strikes(fault: Fault, method: MethodDescriptor = CREATE, request: Message | None = None, draw: float = 0.5) -> bool:
    return strikes_call(fault, method, request or instance_service_pb2.CreateInstanceRequest(), draw)


@pytest.mark.parametrize(
    ("pattern", "hit"),
    [
        ("*", True),
        ("InstanceService/Create", True),
        ("InstanceService/*", True),
        ("*/Create", True),
        ("yandex.cloud.compute.v1.InstanceService/Create", True),
        ("yandex.cloud.compute.*/Create", True),
        ("DiskService/Create", False),
        ("InstanceService", False),
        ("instanceservice/create", False),
    ],
)
def test_a_pattern_covers_methods(pattern: str, hit: bool) -> None:  # noqa: FBT001 - a case of the table
    assert strikes(Fault("1", pattern)) is hit


def test_a_share_strikes_by_chance() -> None:
    fault = Fault("1", share=0.1)
    assert strikes(fault, draw=0.09)
    assert not strikes(fault, draw=0.1)


def test_a_fault_of_operations_strikes_only_calls_that_start_one() -> None:
    fault = Fault("1", effect=Effect.OPERATION)
    assert strikes(fault)
    assert not strikes(fault, GET)


def test_a_zone_may_stand_anywhere_in_the_request() -> None:
    request = instance_service_pb2.CreateInstanceRequest(zone_id="ru-central1-b")
    assert strikes(Fault("1", zone="ru-central1-b"), request=request)
    assert not strikes(Fault("1", zone="ru-central1-a"), request=request)
    group = groups.CreateInstanceGroupRequest()
    for letter in "ab":
        group.allocation_policy.zones.add(zone_id=f"ru-central1-{letter}")
    assert list(zones_of(group)) == ["ru-central1-a", "ru-central1-b"]


def test_without_capacity_no_machine_of_the_zone_starts() -> None:
    fault = Fault("1", effect=Effect.START, zone="ru-central1-b")
    assert strikes_start(fault, "ru-central1-b", 0.0)
    assert not strikes_start(fault, "ru-central1-a", 0.0)
    assert not strikes(fault)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"id": "", "method": "NoService/*", "code": "ABORTED"}', "no method is like NoService"),
        (b'{"id": "", "method": "OperationService/Get", "effect": "operation"}', "no method that starts an operation"),
        (b'{"id": "", "code": "BROKEN"}', "no code of gRPC"),
        (b'{"id": "", "share": 0}', "no fault"),
        (b'{"id": "", "times": 0}', "no fault"),
        (b"nonsense", "no fault"),
    ],
)
def test_a_fault_that_could_never_strike_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        checked(body, [CREATE, GET])


def test_the_metadata_of_a_failed_operation_is_that_of_its_method() -> None:
    disks = disk_service_pb2.DESCRIPTOR.services_by_name["DiskService"].methods_by_name
    created = metadata_of(disks["Create"], disk_service_pb2.CreateDiskRequest())
    assert isinstance(created, disk_service_pb2.CreateDiskMetadata)
    assert created.disk_id
    deleted = metadata_of(disks["Delete"], disk_service_pb2.DeleteDiskRequest(disk_id="epd1"))
    assert deleted == disk_service_pb2.DeleteDiskMetadata(disk_id="epd1")


@pytest.mark.parametrize("module", [network_service_pb2, subnet_service_pb2, groups, instance_service_pb2])
def test_every_operation_has_metadata(module: object) -> None:
    services = module.DESCRIPTOR.services_by_name.values()  # type: ignore[attr-defined]
    for method in (each for service in services for each in service.methods):
        if method.output_type.name == "Operation":
            assert metadata_of(method, network_service_pb2.GetNetworkRequest()).DESCRIPTOR.name != "Empty", method.name
