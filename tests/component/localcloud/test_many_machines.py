"""A machine costs as much among many as among few: what it takes is counted in rows of the store, not in seconds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageMetadata, CreateImageRequest
from yandex.cloud.compute.v1.instance_service_pb2 import CreateInstanceRequest
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest

from samovar.localcloud.home.home import Home
from samovar.localcloud.simulated.event_loop import run
from samovar.localcloud.store.store import Store
from tests.support.in_process import ZONE, InProcess, in_process

FEW, MANY = 5, 105


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many rows each statement of the store read, as they come."""
    counts: list[int] = []
    read = Store._read

    def counted(self: Store, query: str, values: tuple[Any, ...]) -> list[Any]:
        answer = read(self, query, values)
        counts.append(len(answer))
        return answer

    monkeypatch.setattr(Store, "_read", counted)
    return counts


def test_the_cost_of_a_machine_does_not_grow_with_their_number(tmp_path: Path, rows: list[int]) -> None:
    few, many = run(_costs(tmp_path / "home", rows))
    assert many < few + (MANY - FEW), "a row more is read for each machine that is there"


async def _costs(home: Path, rows: list[int]) -> tuple[int, int]:
    """Return the rows that are read from a machine's creation until it runs, after FEW and after MANY machines."""
    async with in_process(Home(home)) as world:
        create = partial(world.done, "compute.v1.InstanceService/Create", await _request(world))
        costs: dict[int, int] = {}
        for number in range(MANY + 1):
            rows.clear()
            await create()
            costs[number] = sum(rows)
        return costs[FEW], costs[MANY]


async def _request(world: InProcess) -> CreateInstanceRequest:
    """Return the request that creates a machine, once there is what it needs."""
    folder: Any = {"folder_id": world.folder_id, "name": "many"}
    network = await world.create(
        "vpc.v1.NetworkService/Create", CreateNetworkRequest(**folder), CreateNetworkMetadata, "network_id"
    )
    subnet = CreateSubnetRequest(**folder, network_id=network, zone_id=ZONE, v4_cidr_blocks=["10.9.0.0/20"])
    subnet_id = await world.create("vpc.v1.SubnetService/Create", subnet, CreateSubnetMetadata, "subnet_id")
    image = CreateImageRequest(**folder, uri="https://storage.example/image.raw")
    image_id = await world.create("compute.v1.ImageService/Create", image, CreateImageMetadata, "image_id")
    request = CreateInstanceRequest(folder_id=world.folder_id, zone_id=ZONE, platform_id="standard-v3")
    request.resources_spec.memory, request.resources_spec.cores = 2 << 30, 2
    disk = request.boot_disk_spec.disk_spec
    disk.size, disk.type_id, disk.image_id = 5 << 30, "network-hdd", image_id
    request.network_interface_specs.add(subnet_id=subnet_id).primary_v4_address_spec.SetInParent()
    return request
