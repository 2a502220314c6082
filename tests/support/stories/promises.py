"""The promises that every story is held against: some at each moment, the others once all is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.instance_pb2 import Instance

from samovar.cloud.labels import ENV, GROUP, MANAGED_BY
from samovar.deploy.lock import find_lock
from samovar.deploy.observe import list_owned
from samovar.deploy.read_status import read_status
from samovar.deploy.resources.instance_group import InstanceGroupHandler
from samovar.deploy.rollout import prepare
from samovar.localcloud.simulated.machines import Answer
from samovar.project.environment import Environment
from tests.support.stories.world import World

NOTICED = 20.0
"""Simulated seconds after which a balancer sends nothing to a machine that does not answer any more."""
PORT = 80


class Watch:
    """Looks at a world while a story goes on, and notes each promise that is broken."""

    def __init__(self, world: World, disks: frozenset[str]) -> None:
        self.broken: list[str] = []
        self._world = world
        self._disks = disks
        self._silent_since: dict[str, float] = {}

    def look(self) -> None:
        if not self._world.runs:
            return
        self.broken += [
            each for each in (*self._disk_promises(), *self._balancer_promises()) if each not in self.broken
        ]

    def _disk_promises(self) -> Iterator[str]:
        store = self._world.store
        attached = Counter(each.disk_id for instance in store.all(Instance) for each in instance.secondary_disks)
        for disk_id in self._disks:
            if store.get(Disk, disk_id) is None:
                yield f"the data disk {disk_id} is lost"
            if attached[disk_id] > 1:
                yield f"the data disk {disk_id} is attached {attached[disk_id]} times"

    def _balancer_promises(self) -> Iterator[str]:
        now = self._world.time.loop.time()
        for network in self._world.fabric.networks.values():
            machines = {nic.address: nic.machine_id for nic in network.nics}
            targets = {address for forward in network.forwards for address in forward.targets}
            for address in targets:
                machine_id = machines.get(address)
                if self._world.driver.answer(machine_id, PORT) is Answer.SUCCESS:
                    self._silent_since.pop(str(address), None)
                elif now - self._silent_since.setdefault(str(address), now) > NOTICED:
                    yield f"a balancer sends to {address}, which has not answered for {NOTICED:g} s"
        self._silent_since = {
            key: since for key, since in self._silent_since.items() if key in map(str, targets_of(self._world))
        }


def targets_of(world: World) -> set[object]:
    """Return the addresses to which balancers send now."""
    networks = world.fabric.networks.values()
    return {address for network in networks for forward in network.forwards for address in forward.targets}


def machine_ids(world: World) -> dict[str, frozenset[str]]:
    """Return the machines of each group by their ids."""
    ids: dict[str, set[str]] = {}
    for instance in world.store.all(Instance):
        ids.setdefault(instance.labels[GROUP], set()).add(instance.id)
    return {group: frozenset(machines) for group, machines in ids.items()}


def data_disks(world: World) -> frozenset[str]:
    """Return the ids of the disks that the tool made, which hold data."""
    return frozenset(disk.id for disk in world.store.all(Disk) if MANAGED_BY in disk.labels and ENV in disk.labels)


def broken_at_the_end(world: World, environment: Environment) -> Iterator[str]:
    """Yield each promise that is broken once nothing is wrong any more, and the last rollout has ended."""
    session = world.session()
    status = read_status(session, environment)
    if not status.healthy:
        yield "not healthy: " + "; ".join(group.summary() for group in status.groups)
    if steps := prepare(session, environment).plan.all_steps:
        yield f"the plan is not empty: {', '.join(f'{step.action} {step.ref} ({step.reason})' for step in steps)}"
    if lock := find_lock(session, environment.name):
        yield f"the lock is not free: {lock}"
    yield from _outdated(world, environment)
    yield from _left_over(world)


def _outdated(world: World, environment: Environment) -> Iterator[str]:
    groups = {
        group.labels[GROUP]: group for group in list_owned(InstanceGroupHandler(), world.session(), environment.name)
    }
    for instance in world.store.all(Instance):
        template = groups[instance.labels[GROUP]].instance_template
        if instance.resources.memory != template.resources_spec.memory:
            yield f"{instance.name} has {instance.resources.memory} bytes of memory, and its template another size"
        if differing := {
            key for key, text in template.metadata.items() if "{" not in text and instance.metadata.get(key) != text
        }:
            yield f"{instance.name} has not its template's {', '.join(sorted(differing))}"


def _left_over(world: World) -> Iterator[str]:
    instances = world.store.all(Instance)
    attached = {disk.disk_id for each in instances for disk in (each.boot_disk, *each.secondary_disks)}
    if loose := [disk.id for disk in world.store.all(Disk) if disk.id not in attached]:
        yield f"disks of no machine: {', '.join(loose)}"
    if strange := world.driver.observe().keys() - {instance.id for instance in instances}:
        yield f"machines of no instance: {', '.join(sorted(strange))}"
    if world.cloud.faults.all():
        yield "faults are left"
