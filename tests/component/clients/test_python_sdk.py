"""Yandex's Python SDK creates a machine of a public image and deletes it, by what `cloud env` prints alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from yandex.cloud.compute.v1.image_service_pb2 import GetImageLatestByFamilyRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_pb2 import IPV4, Instance
from yandex.cloud.compute.v1.instance_service_pb2 import (
    AttachedDiskSpec,
    CreateInstanceMetadata,
    CreateInstanceRequest,
    DeleteInstanceMetadata,
    DeleteInstanceRequest,
    ListInstancesRequest,
    NetworkInterfaceSpec,
    OneToOneNatSpec,
    PrimaryAddressSpec,
    ResourcesSpec,
)
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub
from yandexcloud._sdk import SDK  # the package itself does not export it to type checkers
from yandexcloud.operations import OperationError, OperationResult

from samovar.core.constants import GIB
from tests.support.tool import Cli

ZONE = "ru-central1-a"
TIMEOUT = 60.0
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated class RetryInterceptor")  # in the SDK's own waiter
Response = TypeVar("Response", bound=Message)
Meta = TypeVar("Meta", bound=Message)


@pytest.fixture(params=["iam", "key"])
def variables(cli: Cli, request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The variables of a cloud of simulated machines, with a token or with a key of an account."""
    cli.run("cloud", "up", "--machines", "simulated")
    words = shlex.split(cli.run("cloud", "env", "--auth", request.param).stdout)
    return dict(word.split("=", 1) for word in words if "=" in word)


@pytest.fixture
def sdk(variables: Mapping[str, str]) -> SDK:
    key = variables.get("YC_SERVICE_ACCOUNT_KEY_FILE")
    return SDK(
        endpoint=variables["YC_ENDPOINT"],
        root_certificates=Path(variables["SSL_CERT_FILE"]).read_bytes(),
        service_account_key=json.loads(Path(key).read_text()) if key else None,
        iam_token=variables.get("YC_TOKEN"),
    )


def finished(
    sdk: SDK, operation: Operation, response: type[Response], meta: type[Meta]
) -> OperationResult[Response, Meta]:
    result = sdk.wait_operation_and_get_result(operation, response_type=response, meta_type=meta, timeout=TIMEOUT)
    assert not isinstance(result, OperationError)
    return result


def place(sdk: SDK, folder_id: str) -> str:
    """The subnet of a network, which the SDK finds by itself."""
    network = CreateNetworkRequest(folder_id=folder_id, name="default")
    finished(sdk, sdk.client(NetworkServiceStub).Create(network), Network, CreateNetworkMetadata)
    network_id = sdk.helpers.find_network_id(folder_id)
    subnet = CreateSubnetRequest(
        folder_id=folder_id, network_id=network_id, zone_id=ZONE, v4_cidr_blocks=["10.1.0.0/24"]
    )
    finished(sdk, sdk.client(SubnetServiceStub).Create(subnet), Subnet, CreateSubnetMetadata)
    return sdk.helpers.find_subnet_id(folder_id, ZONE, network_id)


def machine(sdk: SDK, folder_id: str) -> CreateInstanceRequest:
    latest = GetImageLatestByFamilyRequest(folder_id="standard-images", family="debian-12")
    image = sdk.client(ImageServiceStub).GetLatestByFamily(latest)
    disk = AttachedDiskSpec.DiskSpec(type_id="network-hdd", size=image.min_disk_size, image_id=image.id)
    address = PrimaryAddressSpec(one_to_one_nat_spec=OneToOneNatSpec(ip_version=IPV4))
    return CreateInstanceRequest(
        folder_id=folder_id,
        name="example",
        zone_id=ZONE,
        platform_id="standard-v3",
        resources_spec=ResourcesSpec(memory=2 * GIB, cores=2, core_fraction=20),
        boot_disk_spec=AttachedDiskSpec(auto_delete=True, disk_spec=disk),
        network_interface_specs=[
            NetworkInterfaceSpec(subnet_id=place(sdk, folder_id), primary_v4_address_spec=address)
        ],
        metadata={"ssh-keys": "debian:ssh-ed25519 AAAA"},
    )


def test_a_machine_is_created_and_deleted(sdk: SDK, variables: Mapping[str, str]) -> None:
    folder_id, instances = variables["YC_FOLDER_ID"], sdk.client(InstanceServiceStub)
    created = finished(sdk, instances.Create(machine(sdk, folder_id)), Instance, CreateInstanceMetadata)
    assert created.response
    assert created.meta
    assert created.response.id == created.meta.instance_id
    assert created.response.status == Instance.RUNNING
    assert created.response.network_interfaces[0].primary_v4_address.one_to_one_nat.address
    deleted = instances.Delete(DeleteInstanceRequest(instance_id=created.response.id))
    finished(sdk, deleted, Empty, DeleteInstanceMetadata)
    assert not instances.List(ListInstancesRequest(folder_id=folder_id)).instances
