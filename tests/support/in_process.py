"""A local cloud of simulated machines inside the test's own process: its calls cross no wire, so its clock may jump."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from yandex.cloud.access.access_pb2 import (
    AccessBinding,
    AccessBindingAction,
    AccessBindingDelta,
    Subject,
    UpdateAccessBindingsRequest,
)
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageMetadata, CreateImageRequest
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import (
    AllocationPolicy,
    AutoHealingPolicy,
    DeployPolicy,
    HealthCheckSpec,
    HealthChecksSpec,
    InstanceGroup,
    InstanceTemplate,
    LoadBalancerSpec,
    ManagedInstance,
    ScalePolicy,
    TargetGroupSpec,
)
from yandex.cloud.iam.v1.service_account_service_pb2 import CreateServiceAccountMetadata, CreateServiceAccountRequest
from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as balancers
from yandex.cloud.loadbalancer.v1.health_check_pb2 import HealthCheck
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import (
    IPV4,
    AttachedTargetGroup,
    Listener,
    NetworkLoadBalancer,
)
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest

from samovar.localcloud.api.pipeline import Call
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.cloud import Cloud, running
from samovar.localcloud.daemon.bootstrap import ensure_operator
from samovar.localcloud.fault_injection.profile import ProfileChoice
from samovar.localcloud.home.home import Home
from samovar.localcloud.simulated.machines import Pace, SimulatedDriver
from samovar.localcloud.simulated.settings import simulated_host
from samovar.localcloud.store.store import Store

ZONE = "ru-central1-a"
TICK = 0.5
TIMEOUT = 600.0
"""Simulated seconds."""
GROUPS = "compute.v1.instancegroup.InstanceGroupService"
BALANCERS = "loadbalancer.v1.NetworkLoadBalancerService"
ROLES = ("compute.editor", "load-balancer.editor", "iam.serviceAccounts.user", "vpc.user")


@dataclass(frozen=True)
class InProcess:
    """The cloud, and the operator's way to call it."""

    home: Home
    cloud: Cloud
    driver: SimulatedDriver
    folder_id: str
    token: str

    def call(self, method: str, request: Message, *, token: str | None = None, key: str = "") -> Any:
        """`compute.v1.DiskService/Create`, as the operator unless there is another token."""
        descriptor = self.cloud.api.methods[f"/yandex.cloud.{method}"]
        return self.cloud.api.call(Call(descriptor, request, self.token if token is None else token, key))

    async def serve(self, method: str, request: Message, *, token: str | None = None, key: str = "") -> Any:
        """The same as over a wire: by way of the interceptors."""
        descriptor = self.cloud.api.methods[f"/yandex.cloud.{method}"]
        return await self.cloud.api.serve(Call(descriptor, request, self.token if token is None else token, key))

    async def done(self, method: str, request: Message) -> Operation:
        """Return the operation once it is done; an error fails the test."""
        started = await self.serve(method, request)
        asked = GetOperationRequest(operation_id=started.id)

        def probe() -> Operation | None:
            actual: Operation = self.call("operation.OperationService/Get", asked)
            return actual if actual.done else None

        ended: Operation = await until(method, probe)
        assert not ended.HasField("error"), f"{method}: {ended.error}"
        return ended

    async def create(self, method: str, request: Message, kind: Any, field: str) -> str:
        """Return the id of the resource that the call created."""
        ended = await self.done(method, request)
        return str(getattr(kind.FromString(ended.metadata.value), field))


@asynccontextmanager
async def in_process(
    home: Home, pace: Pace | None = None, profile: ProfileChoice | None = None
) -> AsyncIterator[InProcess]:
    """Run a cloud while the context lasts; afterwards nothing of it is left."""
    home.make()
    store, tokens = Store(home.database), Tokens(home.pki / "token-secret")
    host = simulated_host(home, pace)
    cloud = Cloud(home, store, tokens, host, profile=profile)
    operator = ensure_operator(home.pki, store, tokens)
    driver = cast("SimulatedDriver", host.driver)
    async with running(cloud):
        yield InProcess(home, cloud, driver, operator.folder.id, operator.token)
    await cloud.take_down()
    store.close()


async def until(what: str, probe: Callable[[], Any]) -> Any:
    """Wait until `probe` returns something true, at most TIMEOUT seconds, and return that.

    The seconds are the loop's, whose clock may jump; the waits of `wait.py` look at the host's.
    """
    ends = asyncio.get_running_loop().time() + TIMEOUT
    while not (actual := probe()):
        assert asyncio.get_running_loop().time() < ends, f"not in time: {what}"
        await asyncio.sleep(TICK)
    return actual


@dataclass(frozen=True)
class Service:
    """A group of machines that are checked, behind a balancer."""

    world: InProcess
    ids: Mapping[str, str]

    async def update(self, **fields: Any) -> None:
        """Change the group, and wait until it is what it should be."""
        mask = FieldMask(paths=list(fields))
        request = groups.UpdateInstanceGroupRequest(instance_group_id=self.ids["group"], update_mask=mask, **fields)
        await self.world.done(f"{GROUPS}/Update", request)

    async def roll(self, value: str) -> None:
        """Change the template, so that every machine is made anew."""
        await self.update(instance_template=template(self.ids, value))

    async def resize(self, size: int) -> None:
        await self.update(scale_policy=_size(size))

    def members(self) -> list[ManagedInstance]:
        request = groups.ListInstanceGroupInstancesRequest(instance_group_id=self.ids["group"])
        return list(self.world.call(f"{GROUPS}/ListInstances", request).instances)

    def is_healthy(self, size: int) -> bool:
        """Return whether both the group and the balancer have so many healthy machines."""
        members = self.members()
        settled = [member for member in members if member.status == ManagedInstance.RUNNING_ACTUAL]
        request = balancers.GetTargetStatesRequest(
            network_load_balancer_id=self.ids["balancer"], target_group_id=self.ids["targets"]
        )
        states = self.world.call(f"{BALANCERS}/GetTargetStates", request).target_states
        healthy = [state for state in states if state.status == state.HEALTHY]
        return len(members) == len(settled) == len(healthy) == size


async def service(world: InProcess, *, size: int, name: str = "web", cidr: str = "10.9.0.0/20") -> Service:
    """Make one, with all that belongs to it."""
    folder: Any = {"folder_id": world.folder_id}
    network = await world.create(
        "vpc.v1.NetworkService/Create", CreateNetworkRequest(**folder, name=name), CreateNetworkMetadata, "network_id"
    )
    subnet = await world.create(
        "vpc.v1.SubnetService/Create",
        CreateSubnetRequest(**folder, network_id=network, zone_id=ZONE, v4_cidr_blocks=[cidr]),
        CreateSubnetMetadata,
        "subnet_id",
    )
    account = await world.create(
        "iam.v1.ServiceAccountService/Create",
        CreateServiceAccountRequest(**folder, name=name),
        CreateServiceAccountMetadata,
        "service_account_id",
    )
    deltas = [
        AccessBindingDelta(
            action=AccessBindingAction.ADD,
            access_binding=AccessBinding(role_id=role, subject=Subject(id=account, type="serviceAccount")),
        )
        for role in ROLES
    ]
    bindings = UpdateAccessBindingsRequest(resource_id=world.folder_id, access_binding_deltas=deltas)
    await world.done("resourcemanager.v1.FolderService/UpdateAccessBindings", bindings)
    image = await world.create(
        "compute.v1.ImageService/Create",
        CreateImageRequest(**folder, name=name, uri="https://storage.example/image.raw"),
        CreateImageMetadata,
        "image_id",
    )
    ids = {"network": network, "subnet": subnet, "account": account, "image": image}
    ids["group"] = await world.create(
        f"{GROUPS}/Create",
        _group(world, ids, name, size),
        groups.CreateInstanceGroupMetadata,
        "instance_group_id",
    )
    group: InstanceGroup = world.call(f"{GROUPS}/Get", groups.GetInstanceGroupRequest(instance_group_id=ids["group"]))
    ids["targets"] = group.load_balancer_state.target_group_id
    ids["balancer"] = await world.create(
        f"{BALANCERS}/Create",
        _balancer(world, ids, name),
        balancers.CreateNetworkLoadBalancerMetadata,
        "network_load_balancer_id",
    )
    actual = Service(world, ids)
    await until("healthy", partial(actual.is_healthy, size))
    return actual


def instances(world: InProcess) -> Iterator[Instance]:
    yield from world.cloud.store.all(Instance)


def template(ids: Mapping[str, str], value: str) -> InstanceTemplate:
    """Return a template of small machines; another `value` makes another template."""
    spec = InstanceTemplate(platform_id="standard-v3", metadata={"key": value})
    spec.resources_spec.memory, spec.resources_spec.cores = 2 << 30, 2
    disk = spec.boot_disk_spec
    disk.mode, disk.disk_spec.type_id, disk.disk_spec.size = disk.READ_WRITE, "network-hdd", 5 << 30
    disk.disk_spec.image_id = ids["image"]
    spec.network_interface_specs.add(network_id=ids["network"], subnet_ids=[ids["subnet"]])
    return spec


def _size(size: int) -> ScalePolicy:
    return ScalePolicy(fixed_scale=ScalePolicy.FixedScale(size=size))


def _group(world: InProcess, ids: Mapping[str, str], name: str, size: int) -> groups.CreateInstanceGroupRequest:
    check = HealthCheckSpec(
        interval=Duration(seconds=2), timeout=Duration(seconds=1), unhealthy_threshold=2, healthy_threshold=2
    )
    check.http_options.port, check.http_options.path = 80, "/-/health"
    return groups.CreateInstanceGroupRequest(
        folder_id=world.folder_id,
        name=name,
        service_account_id=ids["account"],
        instance_template=template(ids, "first"),
        scale_policy=_size(size),
        deploy_policy=DeployPolicy(max_expansion=2, minimal_action=DeployPolicy.RECREATE),
        allocation_policy=AllocationPolicy(zones=[AllocationPolicy.Zone(zone_id=ZONE)]),
        auto_healing_policy=AutoHealingPolicy(auto_healing_action=AutoHealingPolicy.RECREATE),
        health_checks_spec=HealthChecksSpec(health_check_specs=[check]),
        load_balancer_spec=LoadBalancerSpec(target_group_spec=TargetGroupSpec(name=name)),
    )


def _balancer(world: InProcess, ids: Mapping[str, str], name: str) -> balancers.CreateNetworkLoadBalancerRequest:
    check = HealthCheck(name="http", interval=Duration(seconds=2), timeout=Duration(seconds=1), unhealthy_threshold=2)
    check.healthy_threshold = 2
    check.http_options.port, check.http_options.path = 80, "/-/ready"
    request = balancers.CreateNetworkLoadBalancerRequest(
        folder_id=world.folder_id, name=name, region_id="ru-central1", type=NetworkLoadBalancer.EXTERNAL
    )
    listener = request.listener_specs.add(name="http", port=80, target_port=80, protocol=Listener.TCP)
    listener.external_address_spec.ip_version = IPV4
    request.attached_target_groups.append(AttachedTargetGroup(target_group_id=ids["targets"], health_checks=[check]))
    return request
