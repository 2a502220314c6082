"""The assembly of the cloud: its store, the services over it, and what brings the host in line."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from yandex.cloud.compute.v1 import (
    disk_service_pb2,
    disk_type_service_pb2,
    image_service_pb2,
    instance_service_pb2,
    snapshot_service_pb2,
    zone_service_pb2,
)
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2
from yandex.cloud.endpoint import api_endpoint_service_pb2
from yandex.cloud.iam.v1 import iam_token_service_pb2, key_service_pb2, service_account_service_pb2
from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2, target_group_service_pb2
from yandex.cloud.lockbox.v1 import payload_service_pb2, secret_service_pb2
from yandex.cloud.operation import operation_service_pb2
from yandex.cloud.quotamanager.v1 import quota_limit_service_pb2
from yandex.cloud.resourcemanager.v1 import cloud_service_pb2, folder_service_pb2
from yandex.cloud.vpc.v1 import (
    address_service_pb2,
    gateway_service_pb2,
    network_service_pb2,
    route_table_service_pb2,
    security_group_service_pb2,
    subnet_service_pb2,
)

from samovar.localcloud import clock
from samovar.localcloud.api.audit_log import Record
from samovar.localcloud.api.pipeline import Api
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.compute.disks.controller import Files
from samovar.localcloud.compute.disks.rpc import DiskService
from samovar.localcloud.compute.images.rpc import ImageService
from samovar.localcloud.compute.images.standard_images import publish_standard_images
from samovar.localcloud.compute.instance_groups.controller import Groups
from samovar.localcloud.compute.instance_groups.rpc import InstanceGroupService
from samovar.localcloud.compute.instances.controller import Machines
from samovar.localcloud.compute.instances.metadata_endpoint import Metadata
from samovar.localcloud.compute.instances.rpc import InstanceService
from samovar.localcloud.compute.snapshots.controller import Snapshots
from samovar.localcloud.compute.snapshots.rpc import SnapshotService
from samovar.localcloud.compute.zones.rpc import DiskTypeService, ZoneService
from samovar.localcloud.disks.model import DiskBuilder
from samovar.localcloud.endpoint.controller import InnerApi
from samovar.localcloud.endpoint.rpc import ApiEndpointService
from samovar.localcloud.home.home import Home
from samovar.localcloud.home.quarantine import Quarantine
from samovar.localcloud.iam.authorization import Access
from samovar.localcloud.iam.rpc import IamTokenService, KeyService, ServiceAccountService
from samovar.localcloud.load_balancer.network_load_balancers.controller import HEALTHY, Balancers
from samovar.localcloud.load_balancer.network_load_balancers.rpc import NetworkLoadBalancerService
from samovar.localcloud.load_balancer.target_groups.rpc import TargetGroupService
from samovar.localcloud.lockbox.payload import PayloadService
from samovar.localcloud.lockbox.rpc import SecretService
from samovar.localcloud.machines.model import MachineDriver
from samovar.localcloud.network.model import Fabric
from samovar.localcloud.notices import Notices
from samovar.localcloud.operations.controller import Follower
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.operations.retention import Retention
from samovar.localcloud.operations.rpc import OperationService
from samovar.localcloud.quota_manager.rpc import QuotaLimitService
from samovar.localcloud.reconcile import Loop, Workers, in_turn
from samovar.localcloud.resource_manager.rpc import CloudService, FolderService
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.addresses.model import Addressing
from samovar.localcloud.vpc.addresses.rpc import AddressService
from samovar.localcloud.vpc.networks.controller import Networks
from samovar.localcloud.vpc.networks.rpc import NetworkService, SubnetService
from samovar.localcloud.vpc.routes.rpc import GatewayService, RouteTableService
from samovar.localcloud.vpc.security_groups.rpc import SecurityGroupService

PERIOD = 0.25
"""Seconds after which the host is looked at again where nothing called for it."""


@dataclass(frozen=True)
class Host:
    """What the cloud stands on: the real drivers, or `simulated` ones; `now` is seconds since 1970."""

    number: int
    driver: MachineDriver
    fabric: Fabric
    builder: DiskBuilder
    now: Callable[[], float] = clock.now
    simulated: bool = False


class Cloud:
    """All parts, and the loop that steps them in the order in which a change travels."""

    def __init__(self, home: Home, store: Store, tokens: Tokens, host: Host) -> None:
        publish_standard_images(store)
        self.store = store
        self.host = host
        self.notices = Notices()
        self._quarantine = Quarantine(home.quarantine)
        self.endpoints = ApiEndpointService()
        operations = Operations(store)
        self._addressing = addressing = Addressing(store, host.number)
        disks = DiskService(store, operations, home)
        instances = InstanceService(store, operations, disks, addressing, host.driver.console)
        self.keys = KeyService(store, operations)
        self.workers = Workers(self._wake)
        self.balancers = Balancers(store, host.fabric, self._wake)
        self.networks = Networks(store, host.fabric, self.balancers)
        self.files = Files(store, home, host.builder, self.workers)
        self.snapshots = Snapshots(store, home, operations, host.builder, host.driver, self.files, self.workers)
        self.machines = Machines(
            store, home, instances, host.driver, host.fabric, self.networks, self.files, self.workers
        )
        self.groups = Groups(store, instances, disks, self.balancers, host.fabric, self._wake, host.now)
        self.metadata = Metadata(store, tokens, host.fabric, self.networks)
        self.inner_api = InnerApi(host.fabric, self.networks)
        self._retention = Retention(store)
        self._follower = Follower(store, operations, self.groups.is_settled)
        self._loop = Loop("cloud", self._step, period=PERIOD)
        store.on_change(self._wake)
        services: Mapping[ServiceDescriptor, object] = {
            _service(address_service_pb2): AddressService(store, operations, addressing),
            _service(api_endpoint_service_pb2): self.endpoints,
            _service(cloud_service_pb2): CloudService(store, operations),
            _service(disk_service_pb2): disks,
            _service(disk_type_service_pb2): DiskTypeService(),
            _service(folder_service_pb2): FolderService(store, operations),
            _service(gateway_service_pb2): GatewayService(store, operations),
            _service(iam_token_service_pb2): IamTokenService(store, tokens),
            _service(image_service_pb2): ImageService(store, operations, home, host.builder.fetch),
            _service(instance_group_service_pb2): InstanceGroupService(store, operations),
            _service(instance_service_pb2): instances,
            _service(key_service_pb2): self.keys,
            _service(network_load_balancer_service_pb2): NetworkLoadBalancerService(
                store, operations, addressing, self.balancers.target_status
            ),
            _service(network_service_pb2): NetworkService(store, operations),
            _service(operation_service_pb2): OperationService(store),
            _service(payload_service_pb2): PayloadService(store),
            _service(quota_limit_service_pb2): QuotaLimitService(store),
            _service(route_table_service_pb2): RouteTableService(store, operations),
            _service(secret_service_pb2): SecretService(store, operations),
            _service(security_group_service_pb2): SecurityGroupService(store, operations),
            _service(snapshot_service_pb2): SnapshotService(store, operations, home),
            _service(service_account_service_pb2): ServiceAccountService(store, operations),
            _service(subnet_service_pb2): SubnetService(store, operations, addressing),
            _service(target_group_service_pb2): TargetGroupService(store, operations),
            _service(zone_service_pb2): ZoneService(),
        }
        self.api = Api(store, tokens, Access(store), services, Record(home.calls))

    async def run(self) -> None:
        """Steps until it is cancelled. What is under way on the host is left to the next run of the daemon."""
        await self._loop.run()

    async def take_down(self) -> None:
        """Leaves nothing on the host; the store keeps everything."""
        await self.workers.settle()
        await self.metadata.close()
        await self.balancers.close()
        await self.groups.close()
        await asyncio.gather(*(self.host.driver.remove(machine_id) for machine_id in self.host.driver.observe()))
        await self.host.fabric.close()
        await self.host.driver.close()

    async def cut_power(self, machine_id: str) -> bool:
        seen = self.host.driver.observe().get(machine_id)
        if seen is None or not seen.running:
            return False
        await self.machines.cut_power(machine_id)
        return True

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:
        return self.host.driver.processes(machine_id, unit)

    def kill_processes(self, machine_id: str, unit: str) -> bool:
        """False where there are none."""
        if not self.processes(machine_id, unit):
            return False
        self.host.driver.kill_processes(machine_id, unit)
        return True

    async def addresses(self) -> frozenset[IPv4Address] | None:
        """The public addresses that the host's own routes send to this cloud; None where they are simulated."""
        return await self.host.fabric.routed()

    def report(self) -> dict[str, Any]:
        """What runs, as plain values."""
        observed = self.host.driver.observe()
        self.notices.report("public addresses", *self._addressing.foreign())
        self.notices.report("quarantine", *self._quarantine.warnings())
        self.notices.report("users", *self._with_host_users())
        self.notices.report("unknown machines", *map(_unknown_machine, sorted(self.machines.unknown(observed))))
        return {
            "simulated": self.host.simulated,
            "warnings": list(self.notices.all()),
            "machines": [
                {
                    "id": instance.id,
                    "name": instance.name,
                    "hostname": instance.fqdn.split(".")[0],
                    "status": Instance.Status.Name(instance.status),
                    "running": instance.id in observed and observed[instance.id].running,
                    "pid": observed[instance.id].pid if instance.id in observed else None,
                }
                for instance in self.store.all(Instance)
            ],
            "networks": [
                {"id": network.id, "subnets": [str(subnet.cidr) for subnet in network.subnets]}
                for network in self.networks.up()
            ],
        }

    def _with_host_users(self) -> Iterator[str]:
        reasons = self.host.driver.host_users()
        for instance in self.store.all(Instance):
            if instance.id in reasons:
                yield (
                    f"{instance.name} has the users of this host, for {reasons[instance.id]}: "
                    "root in it could become root on the host, so run there only what you trust"
                )

    async def _step(self) -> None:
        """In the order in which a change travels."""
        await in_turn(
            self.networks.step,
            self.metadata.step,
            self.inner_api.step,
            self.balancers.step,
            self.groups.step,
            self.files.step,
            self.snapshots.step,
            self.machines.step,
            self._follower.step,
            self._retention.step,
        )

    def _wake(self) -> None:
        self._loop.wake()


def _unknown_machine(machine_id: str) -> str:
    return (
        f"machine {machine_id} is unknown to the store, which is older than it: it is being shut down, and no other "
        "machine starts meanwhile; where this stays, daemon.log says why"
    )


def power_on(store: Store) -> None:
    """The host was started anew, or the cloud was taken down: what ran then is to run, and prove itself, again.

    So is what CRASHED, as the API's description of that status says. When a host shuts down its machines may end before
    the daemon does, and look like that.
    """
    with store.transaction():
        for instance in store.all(Instance):
            if instance.status in {Instance.RUNNING, Instance.CRASHED}:
                instance.status = Instance.STARTING
                store.put(instance)
        for balancer_id in store.all_noted(HEALTHY):
            store.forget(balancer_id, HEALTHY)


def _service(module: Any) -> ServiceDescriptor:
    (descriptor,) = module.DESCRIPTOR.services_by_name.values()
    assert isinstance(descriptor, ServiceDescriptor)  # noqa: S101 - tells the type checker
    return descriptor


@contextlib.asynccontextmanager
async def running(cloud: Cloud) -> Any:
    """The cloud's loop as a task, for as long as the context lasts."""
    task = asyncio.create_task(cloud.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
