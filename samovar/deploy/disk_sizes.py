"""Refuses a rollout whose disks the cloud would refuse: too small for an image, or a data disk that cannot be resized.

A data disk never shrinks, and grows only while no machine that runs has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from yandex.cloud.compute.v1.instance_pb2 import Instance

from samovar.cloud.labels import GROUP, is_of
from samovar.cloud.session import Session
from samovar.core.constants import GIB
from samovar.core.errors import ConfigError, command_line
from samovar.deploy.machines import list_instances
from samovar.deploy.plan import Action, Plan
from samovar.deploy.resources.disk import Disk
from samovar.deploy.resources.instance_group import InstanceGroup
from samovar.deploy.resources.resource import Desired, Kind, Observed
from samovar.project.environment import Environment


class Resize(NamedTuple):
    """A data disk whose size a plan changes; sizes are in bytes."""

    group: str
    device: str
    name: str
    id: str
    before: int
    after: int


def check_disk_sizes(session: Session, environment: Environment, plan: Plan) -> None:
    """Raise ConfigError where a data disk would shrink, or grow in use. Asks nothing where none changes its size."""
    resizes = tuple(_resizes(plan))
    machines = _machines_by_disk(session, plan) if resizes else {}
    for resize in resizes:
        _check(environment, resize, machines.get(resize.id, ""))


def check_boot_disks(environment: Environment, desired: Desired, observed: Observed) -> None:
    """Raise ConfigError where a boot disk is smaller than its image allows: no machine could be made."""
    least = dict(observed.min_disk_sizes)
    for resource in desired.resources:
        if not isinstance(resource.spec, InstanceGroup):
            continue
        template = resource.spec.template
        needed, given = least.get(template.image, 0), template.disk
        if given < needed:
            place = environment.place("groups", resource.group, "machine", "disk")
            raise ConfigError(
                f"{place}: the boot disk has {given / GIB:g}G, and {template.image} needs {needed / GIB:.3g}G",
                remedy=f"write machine: {{disk: {-(-needed // GIB)}G}}, or more, in the group or its kind",
            )


def _resizes(plan: Plan) -> Iterator[Resize]:
    for step in plan.steps:
        if not step.existing or not step.desired or "size" not in step.fields:
            continue
        before, after = step.existing.spec, step.desired.spec
        if isinstance(before, Disk) and isinstance(after, Disk):
            yield Resize(step.desired.group, after.device, step.name, step.existing.id, before.size, after.size)


def _machines_by_disk(session: Session, plan: Plan) -> Mapping[str, str]:
    """Return the name of each disk's machine by the disk's id, without the machines that the plan deletes first."""
    deletions = [step.existing for step in plan.steps if step.existing and step.action is Action.DELETE]
    groups = {existing.group for existing in deletions if existing.ref.kind is Kind.INSTANCE_GROUP}
    return {
        disk.disk_id: machine.name
        for machine in list_instances(session)
        if machine.status != Instance.STOPPED
        and not (is_of(machine.labels, plan.environment) and machine.labels.get(GROUP) in groups)
        for disk in machine.secondary_disks
    }


def _check(environment: Environment, resize: Resize, machine: str) -> None:
    before, after = (f"{size / GIB:g}G" for size in (resize.before, resize.after))
    place = environment.place("groups", resize.group, "data_disks", resize.device, "size")
    where = f"{place}: the data disk {resize.name} of {before} cannot become one of {after}"
    if resize.after < resize.before:
        raise ConfigError(f"{where}: no disk shrinks", remedy=f"write size: {before}, or more")
    if machine:
        raise ConfigError(f"{where} while {machine} has it", remedy=_remedy(environment, resize))


def _remedy(environment: Environment, resize: Resize) -> str:
    """A group whose machine mounts the disk can be without it for a while; an image may need its own."""
    name = environment.name
    rollout = f"`{command_line(f'rollout {name}')}`"
    if environment.group(resize.group).data_disks[resize.device].mount:
        return f"take the disk out of the group, {rollout}, put it back with the larger size, and {rollout} again"
    destroy = f"`{command_line(f'destroy {name}')}`"
    return f"{destroy}, which keeps each data disk without on_destroy: delete, and {rollout} again"
