"""The cost of the API as the cloud grows: calls over the wire to a daemon of simulated machines."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from yandex.cloud.compute.v1 import image_service_pb2, instance_service_pb2
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.vpc.v1 import network_service_pb2, subnet_service_pb2
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.cloud.session import Session
from tests.bench.figure import Figure, timed
from tests.support.images import URI
from tests.support.tool import Cli
from tests.support.wait import wait_until

SIZES = (10, 100, 1000)
BATCH = 50
"""Machines of which the rate of creation is taken."""
CALLS = 300
IDLE = 20.0
TICKS = os.sysconf("SC_CLK_TCK")
ZONE = "ru-central1-a"


def simulated() -> Iterator[Figure]:
    """Each figure at each number of machines."""
    with _cloud() as tool:
        session = tool.session()
        client, request = session.client(InstanceServiceStub), _prepare(session)
        pid = tool.endpoint()["pid"]
        created: list[str] = []
        for size in SIZES:
            rate = 0.0
            while len(created) < size:
                count = min(BATCH, size - len(created))
                rate = count / timed(lambda expected=count: created.extend(_create(client, request, expected)))  # type: ignore[misc]
            yield Figure(f"Create a second, up to {size} simulated machines", f"{rate:.0f}")
            _wait(client, session, size)
            get = partial(client.Get, instance_service_pb2.GetInstanceRequest(instance_id=created[0]))
            yield Figure(f"Get at {size}", _quantiles(get), "p50 under 2 ms")
            yield Figure(f"processor time of a Get at {size}", _processor_time(get, pid))
            listing = instance_service_pb2.ListInstancesRequest(folder_id=session.folder_id, page_size=1000)
            yield Figure(f"List of {size}", _quantiles(lambda: client.List(listing), calls=30))  # noqa: B023 - at once
            yield Figure(f"memory of the daemon at {size} (RSS)", f"{_resident(pid):.0f} MiB")
            yield Figure(f"processor time of the idle daemon at {size}", f"{_idle(pid):.1%} of one core", "under 10 %")


@contextmanager
def _cloud() -> Iterator[Cli]:
    folder = Path(tempfile.mkdtemp(prefix="samovar-bench-"))
    tool = Cli(folder / "home", folder / "envs")
    try:
        tool.run("cloud", "up", "--machines", "simulated")
        yield tool
    finally:
        tool.run("cloud", "down", check=False)
        shutil.rmtree(folder)


def _prepare(session: Session) -> instance_service_pb2.CreateInstanceRequest:
    """Create what all machines have in common; return the request that creates one of them."""
    folder_id = session.folder_id
    network = session.client(NetworkServiceStub).Create(
        network_service_pb2.CreateNetworkRequest(folder_id=folder_id, name="bench")
    )
    network_id = network_service_pb2.CreateNetworkMetadata.FromString(network.metadata.value).network_id
    subnet = session.client(SubnetServiceStub).Create(
        subnet_service_pb2.CreateSubnetRequest(
            folder_id=folder_id, network_id=network_id, zone_id=ZONE, v4_cidr_blocks=["10.9.0.0/20"]
        )
    )
    image = session.client(ImageServiceStub).Create(
        image_service_pb2.CreateImageRequest(folder_id=folder_id, name="bench", uri=URI)
    )
    request = instance_service_pb2.CreateInstanceRequest(folder_id=folder_id, zone_id=ZONE, platform_id="standard-v3")
    request.resources_spec.memory, request.resources_spec.cores = 2 << 30, 2
    disk = request.boot_disk_spec.disk_spec
    disk.size, disk.type_id = 5 << 30, "network-hdd"
    disk.image_id = image_service_pb2.CreateImageMetadata.FromString(image.metadata.value).image_id
    request.boot_disk_spec.auto_delete = True
    subnet_id = subnet_service_pb2.CreateSubnetMetadata.FromString(subnet.metadata.value).subnet_id
    request.network_interface_specs.add(subnet_id=subnet_id).primary_v4_address_spec.SetInParent()
    return request


def _create(
    client: InstanceServiceStub, request: instance_service_pb2.CreateInstanceRequest, count: int
) -> Iterator[str]:
    for _ in range(count):
        started = client.Create(request)
        yield instance_service_pb2.CreateInstanceMetadata.FromString(started.metadata.value).instance_id


def _wait(client: InstanceServiceStub, session: Session, size: int) -> None:
    """Wait until all run."""
    listing = instance_service_pb2.ListInstancesRequest(folder_id=session.folder_id, page_size=1000)

    def all_run() -> bool:
        return sum(each.status == each.RUNNING for each in client.List(listing).instances) >= size

    wait_until(f"{size} machines run", all_run, timeout=300)


def _quantiles(call: Callable[[], object], calls: int = CALLS) -> str:
    took = sorted(timed(call) * 1000 for _ in range(calls))
    return f"p50 {statistics.median(took):.2f} ms, p99 {took[int(len(took) * 0.99) - 1]:.2f} ms"


def _processor_time(call: Callable[[], object], pid: int, calls: int = CALLS) -> str:
    """Return what one call takes of the client, which is this process, and of the daemon."""
    own, others = time.process_time(), _ticks(pid)
    for _ in range(calls):
        call()
    client, daemon = time.process_time() - own, (_ticks(pid) - others) / TICKS
    return f"{client / calls * 1000:.2f} ms of the client, {daemon / calls * 1000:.2f} ms of the daemon"


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1]
    return int(status.split()[0]) / 1024


def _idle(pid: int) -> float:
    before = _ticks(pid)
    time.sleep(IDLE)
    return (_ticks(pid) - before) / TICKS / IDLE


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
