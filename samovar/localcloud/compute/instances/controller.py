"""Starts and stops machines as the status of their instances asks, and records machines that ended by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial

import structlog
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import ManagedInstance

from samovar.localcloud.compute.disks.controller import DiskController
from samovar.localcloud.compute.instances.model import Instances
from samovar.localcloud.home.home import Home
from samovar.localcloud.machines.model import DataDisk, Machine, MachineDriver, Observed
from samovar.localcloud.network.model import Fabric
from samovar.localcloud.operations.model import FAILURE_CODE, FAILURE_REASON, Goal, WorkFailed, failed
from samovar.localcloud.reconcile import Repeats, Workers, reason_of
from samovar.localcloud.store.derived_values import Derived
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.networks.controller import NetworkController
from samovar.localcloud.vpc.networks.model import network_of

log = structlog.get_logger(__name__)

STARTING = frozenset({Instance.PROVISIONING, Instance.STARTING, Instance.RESTARTING})
USERS, HOST = "local-cloud-users", "host"
"""The key and the value of metadata by which a machine asks for the host's users."""
MOVING = STARTING | {Instance.STOPPING, Instance.DELETING}
CRASHED_FOR = 5.0
"""Seconds until a machine that crashed is started again."""
NOT_RUNNING = Observed(running=False)
STATUS = Derived(Instance, lambda instance: instance.status)
IN_PROGRESS = {
    Goal.RUNNING: frozenset({Instance.PROVISIONING, Instance.STARTING}),
    Goal.RESTARTED: frozenset({Instance.RESTARTING}),
    Goal.STOPPED: frozenset({Instance.STOPPING}),
}
"""An instance gets this status with the call; once it has another one, nothing brings it to the goal any more."""


BeforeStart = Callable[[Instance], Awaitable[None]]
"""Waits before a machine starts, or raises WorkFailed where it cannot."""


class InstanceController:
    """The controller has one worker an instance; it acts on a status that changes meanwhile once that one is done."""

    def __init__(
        self,
        store: Store,
        home: Home,
        instances: Instances,
        driver: MachineDriver,
        fabric: Fabric,
        networks: NetworkController,
        disks: DiskController,
        workers: Workers,
    ) -> None:
        self._store = store
        self._home = home
        self._instances = instances
        self._driver = driver
        self._fabric = fabric
        self._networks = networks
        self._disks = disks
        self._workers = workers
        self._repeats = Repeats()
        self.before_start: list[BeforeStart] = []
        self._at_rest: tuple[int, Mapping[str, Observed]] | None = None
        self._crashed: dict[str, float] = {}

    async def reconcile(self) -> None:
        observed = self._driver.observe()
        state = self._store.revision, observed
        if state == self._at_rest:
            return
        unknown = self.unknown(observed)
        for machine_id in unknown:
            if not self._workers.busy(machine_id):
                self._workers.start(machine_id, partial(self._shut_down, machine_id))
        statuses = STATUS.of(self._store)
        moving = [instance_id for instance_id, status in statuses.items() if status in MOVING]
        running = [instance_id for instance_id, status in statuses.items() if status == Instance.RUNNING]
        crashed = [instance_id for instance_id, status in statuses.items() if status == Instance.CRASHED]
        self._start_crashed(crashed)
        for instance_id in moving:
            if not (self._workers.busy(instance_id) or (unknown and statuses[instance_id] in STARTING)):
                self._workers.start(instance_id, partial(self._bring, instance_id))
        for instance_id in running:
            if not (machine := observed.get(instance_id, NOT_RUNNING)).running and not self._workers.busy(instance_id):
                self._ended(instance_id, machine)
        if not (unknown or moving or self._crashed):
            self._at_rest = state

    def unknown(self, observed: Mapping[str, Observed]) -> frozenset[str]:
        """Return the machines that the store does not know: it is a restored backup, older than they are.

        Each is shut down in order, so that its disks, which are in the quarantine, are whole. No machine starts until
        they are gone: one of them may hold a data disk that the store knows as another machine's.
        """
        return frozenset(observed) - STATUS.of(self._store).keys()

    def outcome(self, goal: Goal, instance_id: str) -> Message | None:
        """Return the outcome of an operation that waits for an instance."""
        instance = self._store.get(Instance, instance_id)
        if instance is None:
            return Empty() if goal is Goal.DELETED else failed(f"Instance {instance_id} was deleted")
        if goal is Goal.DELETED or instance.status in IN_PROGRESS[goal]:
            return None
        if goal is not Goal.STOPPED and instance.status == Instance.RUNNING:
            return instance if goal is Goal.RUNNING else Empty()
        if goal is Goal.STOPPED and instance.status not in {Instance.DELETING, Instance.ERROR}:
            return Empty()
        reason = self._store.noted(instance_id, FAILURE_REASON, "")
        code = self._store.noted(instance_id, FAILURE_CODE, Code.ABORTED)
        return failed(f"Instance {instance_id} is {Instance.Status.Name(instance.status)}. {reason}".strip(), code)

    async def _shut_down(self, machine_id: str) -> None:
        log.warning("shutting down a machine that the store does not know", machine=machine_id)
        await self._driver.stop(machine_id)
        await self._driver.remove(machine_id)

    async def cut_power(self, instance_id: str) -> None:
        """Cut the power of a machine, as a drill does; the instance is CRASHED at once."""
        await self._fabric.unplug(network_of(self._store, self._store.must(Instance, instance_id)), instance_id)
        await self._driver.kill(instance_id)
        instance = self._store.get(Instance, instance_id)
        if instance is not None and instance.status == Instance.RUNNING:
            self._instances.move(instance_id, Instance.CRASHED)

    def _ended(self, instance_id: str, machine: Observed) -> None:
        """Record a machine that ended: STOPPED where the guest powered itself off, else CRASHED."""
        log.info("machine ended", instance=instance_id, exit_code=machine.exit_code)
        self._instances.move(instance_id, Instance.STOPPED if machine.exit_code == 0 else Instance.CRASHED)

    def _start_crashed(self, crashed: Collection[str]) -> None:
        """Start what crashed a while ago, but for the machines of groups, which a group restarts or replaces itself.

        Source: documentation, compute/concepts/vm-statuses. The length of the while is assumed.
        """
        now = asyncio.get_running_loop().time()
        members = {member.instance_id for member in self._store.all(ManagedInstance)} if crashed else set()
        self._crashed = {each: self._crashed.get(each, now) for each in crashed if each not in members}
        for instance_id in [each for each, since in self._crashed.items() if now - since >= CRASHED_FOR]:
            log.info("starting a machine that crashed", instance=instance_id)
            self._instances.move(instance_id, Instance.STARTING)

    async def _bring(self, instance_id: str) -> None:
        instance = self._store.must(Instance, instance_id)
        try:
            if instance.status == Instance.DELETING:
                await self._delete(instance)
            elif instance.status == Instance.STOPPING:
                await self._driver.stop(instance_id)
                self._became(instance, Instance.STOPPED)
            else:
                if instance.status == Instance.RESTARTING:
                    await self._driver.stop(instance_id)
                await self._start(instance)
                self._became(instance, Instance.RUNNING)
            self._store.forget(instance_id, FAILURE_REASON)
        except Exception as error:
            self._store.note(instance_id, FAILURE_REASON, reason_of(error))
            self._store.note(instance_id, FAILURE_CODE, error.status if isinstance(error, WorkFailed) else Code.ABORTED)
            if instance.status == Instance.DELETING:
                raise  # it is tried again after a pause
            if self._repeats.is_new(error):
                log.exception("machine failed", instance=instance_id)
            self._became(instance, Instance.ERROR)

    async def _start(self, instance: Instance) -> None:
        await self._disks.ready_for(instance)
        await self._networks.ensure(network_of(self._store, instance))
        running = self._driver.observe().get(instance.id, NOT_RUNNING).running
        if not running:
            for condition in self.before_start:
                await condition(instance)
            await self._driver.start(self._spec(instance))

    async def _delete(self, instance: Instance) -> None:
        """Remove a machine. Its port goes down first: a machine without power does not even answer with a reset."""
        await self._fabric.unplug(network_of(self._store, instance), instance.id)
        await self._driver.remove(instance.id)
        with self._store.transaction():
            self._instances.delete(instance.id)

    def _became(self, before: Instance, status: Instance.Status.ValueType) -> None:
        """Set the new status, unless another call has changed it meanwhile."""
        instance = self._store.get(Instance, before.id)
        if instance is not None and instance.status == before.status:
            self._instances.move(before.id, status)

    def _spec(self, instance: Instance) -> Machine:
        boot = self._store.must(Disk, instance.boot_disk.disk_id)
        return Machine(
            id=instance.id,
            hostname=instance.fqdn.split(".")[0],
            image=self._disks.base_of(boot),
            boot_disk=self._home.disk(boot.id),
            boot_disk_size=boot.size,
            cores=instance.resources.cores,
            core_fraction=instance.resources.core_fraction,
            memory=instance.resources.memory,
            netns=self._fabric.netns_of(instance.id),
            disks=tuple(DataDisk(disk.device_name, self._home.disk(disk.disk_id)) for disk in instance.secondary_disks),
            wants_host_users=instance.metadata.get(USERS) == HOST,
        )
