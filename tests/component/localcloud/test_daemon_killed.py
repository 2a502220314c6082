"""The daemon dies at any moment, again and again, in the middle of transactions too; what was asked for comes about.

Hosts are simulated here, so that hundreds of deaths take seconds; tests/e2e/test_daemon_killed.py has real machines.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from yandex.cloud.access.access_pb2 import AccessBindingAction, AccessBindingDelta, UpdateAccessBindingsRequest
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.disk_service_pb2 import CreateDiskMetadata, CreateDiskRequest, DeleteDiskRequest
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageMetadata, CreateImageRequest
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import (
    AllocationPolicy,
    DeployPolicy,
    InstanceTemplate,
    LoadBalancerSpec,
    ManagedInstance,
    ScalePolicy,
    TargetGroupSpec,
)
from yandex.cloud.compute.v1.snapshot_service_pb2 import (
    CreateSnapshotMetadata,
    CreateSnapshotRequest,
    DeleteSnapshotRequest,
)
from yandex.cloud.iam.v1.service_account_service_pb2 import CreateServiceAccountMetadata, CreateServiceAccountRequest
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest

from samovar.localcloud.load_balancer.target_groups.model import target_of
from samovar.localcloud.operations.model import WAITS_FOR
from tests.support.calls import binding
from tests.support.killable_cloud import KillableCloud
from tests.support.seeds import new_seeds

ZONE = "ru-central1-a"
DIGEST = "0123456789abcdef"
TIMEOUT = 60.0
TICK = 0.002
Created = tuple[str, type[Any]]
Step = tuple[str, Callable[[], Message], Created | None]
"""A method, its request once the ids in it are known, and what it makes: its name and the operation's metadata."""
GROUPS = "compute.v1.instancegroup.InstanceGroupService"


@dataclass
class Scenario:
    """A client that takes its steps whatever happens: it repeats a call with its key, and waits for its end."""

    world: KillableCloud
    ids: dict[str, str] = field(default_factory=dict)
    step: int = 0
    operation_id: str = ""
    deaths: int = 0
    lacks: str = "the scenario's end"

    async def run(self) -> None:
        steps = self._steps()
        while self.step < len(steps):
            await self._step(*steps[self.step])
            self.step += 1
            self.operation_id = ""

    async def _step(self, method: str, request: Callable[[], Message], created: Created | None) -> None:
        if not self.operation_id:
            self.operation_id = self.world.call(method, request(), f"step-{self.step}").id
        while not (operation := self._operation(self.operation_id)).done:  # noqa: ASYNC110 - as a client waits
            await asyncio.sleep(TICK)
        assert not operation.HasField("error"), f"{method}: {operation.error}"
        if created:
            metadata = created[1].FromString(operation.metadata.value)
            self.ids[created[0]] = getattr(metadata, f"{created[0]}_id")

    def _operation(self, operation_id: str) -> Operation:
        actual = self.world.call("operation.OperationService/Get", GetOperationRequest(operation_id=operation_id))
        assert isinstance(actual, Operation)
        return actual

    def _steps(self) -> list[Step]:
        folder: Any = {"folder_id": self.world.operator.folder.id}
        uri = f"https://127.0.0.1/storage/images/{DIGEST}.raw"
        (self.world.home.uploads / f"{DIGEST}.raw").touch()
        return [
            (
                "vpc.v1.NetworkService/Create",
                lambda: CreateNetworkRequest(**folder),
                ("network", CreateNetworkMetadata),
            ),
            ("vpc.v1.SubnetService/Create", self._subnet, ("subnet", CreateSubnetMetadata)),
            (
                "iam.v1.ServiceAccountService/Create",
                lambda: CreateServiceAccountRequest(**folder, name="groups"),
                ("service_account", CreateServiceAccountMetadata),
            ),
            ("resourcemanager.v1.FolderService/UpdateAccessBindings", self._rights, None),
            (
                "compute.v1.ImageService/Create",
                lambda: CreateImageRequest(**folder, uri=uri),
                ("image", CreateImageMetadata),
            ),
            (
                "compute.v1.DiskService/Create",
                lambda: CreateDiskRequest(**folder, zone_id=ZONE, size=4 << 20),
                ("disk", CreateDiskMetadata),
            ),
            (
                "compute.v1.SnapshotService/Create",
                lambda: CreateSnapshotRequest(**folder, disk_id=self.ids["disk"]),
                ("snapshot", CreateSnapshotMetadata),
            ),
            ("compute.v1.DiskService/Delete", lambda: DeleteDiskRequest(disk_id=self.ids["disk"]), None),
            (
                "compute.v1.DiskService/Create",
                lambda: CreateDiskRequest(**folder, zone_id=ZONE, size=4 << 20, snapshot_id=self.ids["snapshot"]),
                ("disk", CreateDiskMetadata),
            ),
            (
                "compute.v1.SnapshotService/Delete",
                lambda: DeleteSnapshotRequest(snapshot_id=self.ids["snapshot"]),
                None,
            ),
            (f"{GROUPS}/Create", self._group, ("instance_group", rpc.CreateInstanceGroupMetadata)),
            (f"{GROUPS}/Update", lambda: self._update(scale_policy=_size(3)), None),
            (f"{GROUPS}/Update", lambda: self._update(instance_template=self._template("new")), None),
            ("compute.v1.DiskService/Delete", lambda: DeleteDiskRequest(disk_id=self.ids["disk"]), None),
            (f"{GROUPS}/Update", lambda: self._update(scale_policy=_size(2)), None),
        ]

    def _subnet(self) -> Message:
        return CreateSubnetRequest(
            folder_id=self.world.operator.folder.id,
            network_id=self.ids["network"],
            zone_id=ZONE,
            v4_cidr_blocks=["10.9.0.0/24"],
        )

    def _rights(self) -> Message:
        deltas = [
            AccessBindingDelta(
                action=AccessBindingAction.ADD, access_binding=binding(role, self.ids["service_account"])
            )
            for role in ("compute.editor", "load-balancer.editor", "vpc.user")
        ]
        return UpdateAccessBindingsRequest(resource_id=self.world.operator.folder.id, access_binding_deltas=deltas)

    def _group(self) -> Message:
        return rpc.CreateInstanceGroupRequest(
            folder_id=self.world.operator.folder.id,
            name="g",
            service_account_id=self.ids["service_account"],
            instance_template=self._template("old"),
            scale_policy=_size(2),
            deploy_policy=DeployPolicy(max_expansion=1, minimal_action=DeployPolicy.RECREATE),
            allocation_policy=AllocationPolicy(zones=[AllocationPolicy.Zone(zone_id=ZONE)]),
            load_balancer_spec=LoadBalancerSpec(target_group_spec=TargetGroupSpec(name="tg")),
        )

    def _template(self, value: str) -> InstanceTemplate:
        template = InstanceTemplate(name="m-{instance.index}", platform_id="standard-v3", metadata={"key": value})
        template.resources_spec.memory, template.resources_spec.cores = 2 << 30, 2
        disk = template.boot_disk_spec
        disk.mode, disk.disk_spec.type_id, disk.disk_spec.size = disk.READ_WRITE, "network-ssd", 5 << 30
        disk.disk_spec.image_id = self.ids["image"]
        template.network_interface_specs.add(network_id=self.ids["network"], subnet_ids=[self.ids["subnet"]])
        return template

    def _update(self, **fields: Any) -> Message:
        return rpc.UpdateInstanceGroupRequest(
            instance_group_id=self.ids["instance_group"], update_mask=FieldMask(paths=list(fields)), **fields
        )


def _size(size: int) -> ScalePolicy:
    return ScalePolicy(fixed_scale=ScalePolicy.FixedScale(size=size))


def differences(world: KillableCloud) -> str:
    """Return what is lost, doubled or left over of two new machines, their disks, targets and files."""
    store = world.cloud.store
    instances = store.all(Instance)
    members = store.all(ManagedInstance)
    (group,) = store.all(TargetGroup)
    ids = {instance.id for instance in instances}
    network = next(iter(world.fabric.networks.values()))
    actual = {
        "machines": (set(world.driver.machines), ids),
        "all run": ({observed.running for observed in world.driver.machines.values()}, {True}),
        "members": ({member.instance_id for member in members}, ids),
        "two of them": (len(members), 2),
        "by the new template": ({instance.metadata["key"] for instance in instances}, {"new"}),
        "disks": ({disk.id for disk in store.all(Disk)}, {instance.boot_disk.disk_id for instance in instances}),
        "files of disks": ({file.stem for file in world.home.disks.iterdir()}, {disk.id for disk in store.all(Disk)}),
        "quarantine": (list(world.home.quarantine.rglob("*.raw")), []),
        "files of snapshots": (list(world.home.snapshots.iterdir()), []),
        "files of images": ([file.suffix for file in world.home.images.iterdir()], [".raw"]),
        "targets": (sorted(map(str, group.targets)), sorted(str(target_of(instance)) for instance in instances)),
        "interfaces": ({nic.machine_id for nic in network.nics}, ids),
        "operations under way": (store.all_noted(WAITS_FOR), {}),
        "operations not done": ([each.description for each in store.all(Operation) if not each.done], []),
        "operations": (len(store.all(Operation)), 15),
    }
    return "; ".join(
        f"{what}: {observed} and not {expected}"
        for what, (observed, expected) in actual.items()
        if observed != expected
    )


async def _survive(folder: Path, moments: Callable[[], int]) -> Scenario:
    """Run daemons one after the other until the scenario has ended and nothing differs."""
    world = KillableCloud(folder)
    scenario = Scenario(world)

    async def to_the_end() -> None:
        await scenario.run()
        while lacks := differences(world):
            scenario.lacks = lacks
            await asyncio.sleep(TICK)

    try:
        async with asyncio.timeout(TIMEOUT):
            while not await world.run(to_the_end, moments()):
                scenario.deaths += 1
    except TimeoutError:
        pytest.fail(f"differences after {scenario.deaths} deaths, at step {scenario.step}: {scenario.lacks}")
    return scenario


@pytest.mark.parametrize("seed", new_seeds(5))
async def test_daemons_that_die_at_random_moments_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    """A test that failed bears its seed in its name: put it in the place of the random ones."""
    chance = random.Random(seed)  # noqa: S311 - a sequence that can be repeated, not a secret
    scenario = await _survive(tmp_path, lambda: chance.randrange(10, 300))
    assert scenario.deaths >= 5
