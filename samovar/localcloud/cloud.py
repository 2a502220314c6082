"""Assembles the cloud: its store, the services over it, and the controllers that bring the host in line with it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from ipaddress import IPv4Address

from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot

from samovar.core.kernel import device_policy_unavailable
from samovar.localcloud.api.audit_log import AuditLog
from samovar.localcloud.api.pipeline import Api
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.cloud_status import (
    CloudStatus,
    NetworkStatus,
    Notices,
    device_warnings,
    fault_warnings,
    host_user_warnings,
    limit_warnings,
    machine_status,
    unknown_machine,
)
from samovar.localcloud.compute.disks.controller import DiskController
from samovar.localcloud.compute.disks.model import Disks
from samovar.localcloud.compute.images.standard_images import publish_standard_images
from samovar.localcloud.compute.instance_groups.autoscale_controller import GIVEN, AutoscaleController
from samovar.localcloud.compute.instance_groups.controller import GroupController
from samovar.localcloud.compute.instances.controller import InstanceController
from samovar.localcloud.compute.instances.metadata_endpoint import MetadataEndpoint
from samovar.localcloud.compute.instances.model import Instances
from samovar.localcloud.compute.snapshot_schedules.controller import SnapshotScheduleController
from samovar.localcloud.compute.snapshots.controller import SnapshotController
from samovar.localcloud.endpoint.controller import InternalApi
from samovar.localcloud.endpoint.model import Endpoints
from samovar.localcloud.fault_injection.conditions import Conditions
from samovar.localcloud.fault_injection.faults import FailedOperations
from samovar.localcloud.fault_injection.profile import ProfileChoice
from samovar.localcloud.fault_injection.requested_faults import RequestedFaults
from samovar.localcloud.home.home import Home
from samovar.localcloud.home.quarantine import Quarantine
from samovar.localcloud.host_drivers import Host
from samovar.localcloud.iam.authorization import Authorizer
from samovar.localcloud.load_balancer.network_load_balancers.controller import LoadBalancerController
from samovar.localcloud.load_balancer.network_load_balancers.model import HEALTHY
from samovar.localcloud.network.namespaces import open_socket
from samovar.localcloud.operations.controller import OperationController, Retention
from samovar.localcloud.operations.model import Operations, Outcome
from samovar.localcloud.reconcile import Loop, Workers, in_turn
from samovar.localcloud.registry import PACKAGES, Context, Service, load_services, quotas, role_prefixes
from samovar.localcloud.store.store import Store, Stored
from samovar.localcloud.vpc.addresses.model import Ipam
from samovar.localcloud.vpc.networks.controller import NetworkController

PERIOD = 0.25
"""Seconds after which the host is looked at again where nothing called for it."""


class Cloud:
    """The cloud holds all parts, and the loop that steps its controllers in the order in which a change travels."""

    def __init__(
        self,
        home: Home,
        store: Store,
        tokens: Tokens,
        host: Host,
        packages: tuple[str, ...] = PACKAGES,
        *,
        profile: ProfileChoice | None = None,
    ) -> None:
        services = load_services(packages)
        publish_standard_images(store)
        self.store = store
        self.host = host
        self.notices = Notices()
        self.audit_log = AuditLog(home.calls)
        self._quarantine = Quarantine(home.quarantine)
        self.endpoints = Endpoints(service.endpoint for service in services)
        self._operations = Operations(store)
        self._ipam = Ipam(store, host.number)
        self._loop = Loop("cloud", self._step, period=PERIOD)
        store.on_change(self._wake)
        self._make_controllers(home, tokens)
        self.profile = profile
        self._failed_operations = FailedOperations(self._operations, tokens.subject)
        self._conditions = self._make_conditions(profile, tokens) if profile else None
        self.api = self._make_api(home, tokens, services)
        self.faults = RequestedFaults(store, self._failed_operations)
        self.api.interceptors.append(self.faults.intercept)
        self.machines.before_start.append(self.faults.before_start)
        if self._conditions:
            self._let_meet(self._conditions)

    def _make_conditions(self, choice: ProfileChoice, tokens: Tokens) -> Conditions:
        return Conditions(
            choice.profile, choice.draws, self.store, self._operations, self._failed_operations, tokens.subject
        )

    def _let_meet(self, conditions: Conditions) -> None:
        """Let calls, operations, machines, groups and balancers meet the conditions of a profile."""
        self.api.interceptors.append(conditions.intercept)
        self.machines.before_start.append(conditions.before_start)
        self.groups.has_target_group_by_now = conditions.has_target_group_by_now
        self.balancers.routing_delay = conditions.routing_delay
        self.networks.has_name_by_now = conditions.has_name_by_now
        self._operations.hold = conditions.hold_operation

    def _make_controllers(self, home: Home, tokens: Tokens) -> None:
        store, host = self.store, self.host
        instances = Instances(store, Disks(store, home), self._ipam, simulated=host.simulated)
        self.workers = Workers(self._wake)
        self.balancers = LoadBalancerController(store, host.fabric, self._wake)
        self.networks = NetworkController(store, host.fabric, self.balancers)
        self.disks = DiskController(store, home, host.builder, self.workers)
        self.snapshots = SnapshotController(
            store, home, self._operations, host.builder, host.driver, self.disks, self.workers
        )
        self.snapshot_schedules = SnapshotScheduleController(store, home)
        self.machines = InstanceController(
            store, home, instances, host.driver, host.fabric, self.networks, self.disks, self.workers
        )
        self.groups = GroupController(store, instances, self.balancers, host.fabric, self._wake, host.now)
        self.autoscaling = AutoscaleController(store, host.driver.cpu_seconds, host.now)
        self.metadata = MetadataEndpoint(store, tokens, self.networks)
        self.internal_api = InternalApi(self.networks)
        outcomes: Mapping[type[Stored], Outcome] = {
            Disk: self.disks.disk_outcome,
            Image: self.disks.image_outcome,
            Snapshot: self.snapshots.outcome,
            Instance: self.machines.outcome,
            InstanceGroup: self.groups.outcome,
        }
        self.operations = OperationController(self._operations, outcomes)
        self._retention = Retention(store)

    def _make_api(self, home: Home, tokens: Tokens, services: tuple[Service, ...]) -> Api:
        context = Context(
            store=self.store,
            operations=self._operations,
            home=home,
            tokens=tokens,
            number=self.host.number,
            endpoints=self.endpoints,
            quotas=quotas(services),
            read_console=self._read_console,
            fetch=self.host.builder.fetch,
            target_status=self.balancers.target_status,
            simulated=self.host.simulated,
            target_groups_come_late=self._conditions is not None,
        )
        exempt = [service.descriptor.full_name for service in services if service.authorizes_itself]
        authorizer = Authorizer(self.store, role_prefixes(services), exempt)
        servicers = {service.descriptor: service.make(context) for service in services}
        public = [service.descriptor.full_name for service in services if service.public]
        return Api(self.store, tokens, authorizer, servicers, public=public, audit_log=self.audit_log)

    def _read_console(self, machine_id: str) -> bytes:
        console = self.host.driver.console(machine_id)
        return self._conditions.tail(console) if self._conditions else console

    async def run(self) -> None:
        """Step until it is cancelled. What is under way on the host is left to the next run of the daemon."""
        await self._loop.run()

    async def take_down(self) -> None:
        """Leave nothing on the host; the store keeps everything."""
        self.host.driver.end_starts()
        await self.workers.settle()
        await self.metadata.close()
        await self.balancers.close()
        await self.groups.close()
        await asyncio.gather(*(self.host.driver.remove(machine_id) for machine_id in self.host.driver.observe()))
        await self.host.fabric.close()
        await self.host.driver.close()

    async def cut_power(self, machine_id: str) -> bool:
        machine = self.host.driver.observe().get(machine_id)
        if machine is None or not machine.running:
            return False
        await self.machines.cut_power(machine_id)
        return True

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:
        return self.host.driver.processes(machine_id, unit)

    def kill_processes(self, machine_id: str, unit: str) -> bool:
        """Return False where there are none."""
        if not self.processes(machine_id, unit):
            return False
        self.host.driver.kill_processes(machine_id, unit)
        return True

    def set_load(self, group: str, percent: float) -> bool:
        """Give the groups of that id or name a load; return False where there are none, or machines are measured."""
        named = [each.id for each in self.store.all(InstanceGroup) if group in {each.id, each.name}]
        for group_id in named if self.host.simulated else ():
            self.store.note(group_id, GIVEN, percent)
        return self.host.simulated and bool(named)

    def socket_inside(self, machine_id: str) -> socket.socket | None:
        """Return a TCP socket in the machine's network; None where no such machine runs, or it is simulated."""
        machine = self.host.driver.observe().get(machine_id)
        if machine is None or machine.pid is None or self.host.simulated:
            return None
        return open_socket(f"/proc/{machine.pid}/ns/net", socket.AF_INET, socket.SOCK_STREAM)

    async def addresses(self) -> frozenset[IPv4Address] | None:
        """Return the public addresses that the host's own routes send to this cloud; None where it is simulated."""
        return await self.host.fabric.routed()

    def status(self) -> CloudStatus:
        """Return what runs, and what the operator should know of."""
        observed, instances = self.host.driver.observe(), self.store.all(Instance)
        host_users = self.host.driver.host_users()
        self.notices.report("public addresses", *self._ipam.foreign())
        self.notices.report("quarantine", *self._quarantine.warnings())
        self.notices.report("users", *host_user_warnings(instances, host_users))
        self.notices.report("devices", *device_warnings(device_policy_unavailable() if host_users else ""))
        self.notices.report("faults", *fault_warnings(len(self.faults.all())))
        self.notices.report("kernel limits", *(() if self.host.simulated else limit_warnings(len(instances))))
        self.notices.report("unknown machines", *map(unknown_machine, sorted(self.machines.unknown(observed))))
        return CloudStatus(
            simulated=self.host.simulated,
            profile=self.profile,
            warnings=self.notices.all(),
            machines=tuple(machine_status(each, observed.get(each.id)) for each in instances),
            networks=tuple(
                NetworkStatus(network.id, tuple(str(subnet.cidr) for subnet in network.subnets))
                for network in self.networks.up()
            ),
        )

    async def _step(self) -> None:
        """Step the controllers in the order in which a change travels."""
        await in_turn(
            self.networks.reconcile,
            self.metadata.reconcile,
            self.internal_api.reconcile,
            self.balancers.reconcile,
            self.autoscaling.reconcile,
            self.groups.reconcile,
            self.disks.reconcile,
            self.snapshot_schedules.reconcile,
            self.snapshots.reconcile,
            self.machines.reconcile,
            self.operations.reconcile,
            self._retention.reconcile,
        )

    def _wake(self) -> None:
        self._loop.wake()


def power_on(store: Store) -> None:
    """Start again what ran before the host was started anew or the cloud was taken down; its health is unknown.

    An instance that is CRASHED starts too, as the API's description of that status says. When a host shuts down its
    machines may end before the daemon does, and look like that.
    """
    with store.transaction():
        for instance in store.all(Instance):
            if instance.status in {Instance.RUNNING, Instance.CRASHED}:
                instance.status = Instance.STARTING
                store.put(instance)
        for balancer_id in store.all_noted(HEALTHY):
            store.forget(balancer_id, HEALTHY)


@contextlib.asynccontextmanager
async def running(cloud: Cloud) -> AsyncIterator[None]:
    """Run the cloud's loop as a task, for as long as the context lasts."""
    task = asyncio.create_task(cloud.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
