"""A home on a disk that is full: each call says so in one sentence, and all goes on once there is space."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageMetadata, CreateImageRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_service_pb2 import (
    AttachedDiskSpec,
    CreateInstanceRequest,
    NetworkInterfaceSpec,
    PrimaryAddressSpec,
    ResourcesSpec,
)
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.core.process import run
from tests.support.tool import Cli
from tests.support.wait import wait_until

EMPTY = bytes(4096)
SIZE = 2 << 30


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """A daemon whose home is a small file system of its own."""
    disk, mount = tmp_path / "disk.ext4", tmp_path / "mount"
    mount.mkdir()
    with disk.open("wb") as sparse:
        sparse.truncate(SIZE)
    run(["mkfs.ext4", "-q", "-m", "0", disk])
    run(["mount", "-o", "loop", disk, mount])
    tool = Cli(mount / "home", tmp_path / "envs")
    try:
        tool.run("cloud", "up")
        yield tool
    finally:
        tool.run("cloud", "down", check=False)
        run(["umount", "-l", mount])


@contextmanager
def _full(home: Path) -> Iterator[None]:
    """While it lasts, not a block is free, and not a byte at the end of the daemon's log."""
    ballast = home.parent / "ballast"
    with ballast.open("wb") as file:
        for block in (1 << 26, 1 << 20, 1 << 16, 1 << 12):
            _fill(file.fileno(), block)
    with (home / "daemon.log").open("ab", buffering=0) as log, suppress(OSError):
        while True:
            log.write(b" ")
    yield
    ballast.unlink()


def _fill(descriptor: int, block: int) -> None:
    try:
        while True:
            os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, block)
    except OSError:
        pass


def _channel(cli: Cli) -> grpc.Channel:
    endpoint = cli.endpoint()
    tls = grpc.ssl_channel_credentials(Path(endpoint["ca"]).read_bytes())
    credentials = grpc.composite_channel_credentials(tls, grpc.access_token_call_credentials(endpoint["token"]))
    return grpc.secure_channel(endpoint["grpc"], credentials, options=[("grpc.enable_http_proxy", 0)])


def _put(cli: Cli, content: bytes) -> tuple[int, str]:
    endpoint, digest = cli.endpoint(), hashlib.sha256(content).hexdigest()
    host, _, port = endpoint["rest"].partition(":")
    context = ssl.create_default_context(cafile=endpoint["ca"])
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=60)
    headers = {"Authorization": f"Bearer {endpoint['token']}"}
    connection.request("PUT", f"/storage/images/{digest}.raw", body=content, headers=headers)
    answer = connection.getresponse()
    status, text = answer.status, answer.read().decode()
    connection.close()
    return status, text


def _instance(cli: Cli) -> CreateInstanceRequest:
    """All that it takes to ask for a machine, of an image that holds nothing."""
    channel, folder_id = _channel(cli), cli.endpoint()["folder_id"]
    assert _put(cli, EMPTY) == (201, "")
    uri = f"https://{cli.endpoint()['rest']}/storage/images/{hashlib.sha256(EMPTY).hexdigest()}.raw"
    image = ImageServiceStub(channel).Create(CreateImageRequest(folder_id=folder_id, uri=uri))
    network = NetworkServiceStub(channel).Create(CreateNetworkRequest(folder_id=folder_id))
    subnet = SubnetServiceStub(channel).Create(
        CreateSubnetRequest(
            folder_id=folder_id,
            network_id=CreateNetworkMetadata.FromString(network.metadata.value).network_id,
            zone_id="ru-central1-a",
            v4_cidr_blocks=["10.9.0.0/24"],
        )
    )
    nic = NetworkInterfaceSpec(
        subnet_id=CreateSubnetMetadata.FromString(subnet.metadata.value).subnet_id,
        primary_v4_address_spec=PrimaryAddressSpec(),
    )
    image_id = CreateImageMetadata.FromString(image.metadata.value).image_id
    disk = AttachedDiskSpec(auto_delete=True, disk_spec=AttachedDiskSpec.DiskSpec(image_id=image_id, size=5 << 30))
    return CreateInstanceRequest(
        folder_id=folder_id,
        zone_id="ru-central1-a",
        platform_id="standard-v3",
        resources_spec=ResourcesSpec(memory=2 << 30, cores=2),
        boot_disk_spec=disk,
        network_interface_specs=[nic],
    )


def _ended(cli: Cli, operation: Operation) -> Operation:
    stub, request = OperationServiceStub(_channel(cli)), GetOperationRequest(operation_id=operation.id)
    wait_until("the operation", lambda: stub.Get(request).done, timeout=120)
    ended: Operation = stub.Get(request)
    return ended


def test_calls_and_uploads_fail_without_space_and_recover(cli: Cli) -> None:
    networks, request = NetworkServiceStub(_channel(cli)), CreateNetworkRequest(folder_id=cli.endpoint()["folder_id"])
    with _full(cli.home):
        # The log beside the database has room for some.
        with pytest.raises(grpc.RpcError, match="No space is left on the disk") as refused:
            deque((networks.Create(request) for _ in range(1000)), maxlen=0)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        status, text = _put(cli, b"x" * (1 << 20))
        assert status == 507
        assert "no space is left in" in text
    created = CreateNetworkMetadata.FromString(networks.Create(request).metadata.value).network_id
    wait_until(
        "the network",
        lambda: created in {network["id"] for network in cli.json("cloud", "status")["networks"]},
        timeout=120,
    )
    assert _put(cli, b"x" * (1 << 20))[0] == 201


def test_a_machine_without_disk_space_names_the_reason(cli: Cli) -> None:
    request, instances = _instance(cli), InstanceServiceStub(_channel(cli))
    with (cli.home.parent / "ballast").open("wb") as file:
        room = os.statvfs(cli.home)
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - (32 << 20))
    failed = _ended(cli, instances.Create(request))
    assert re.search(
        r"no space is left for machine \w+: \d+ MiB are free in \S+/disks, it takes 256", failed.error.message
    )
