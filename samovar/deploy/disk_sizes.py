"""Refuses a rollout whose disks the cloud would refuse: too small for an image, or a data disk that would shrink."""

from __future__ import annotations

from samovar.core.constants import GIB
from samovar.core.errors import ConfigError
from samovar.deploy.plan import Plan
from samovar.deploy.resources.disk import Disk
from samovar.deploy.resources.instance_group import InstanceGroup
from samovar.deploy.resources.resource import Desired, Observed
from samovar.project.environment import Environment


def check_disk_sizes(environment: Environment, plan: Plan) -> None:
    """Raise ConfigError where a data disk would shrink. One that runs may grow: its machine grows the file system."""
    for step in plan.steps:
        before, after = step.existing and step.existing.spec, step.desired and step.desired.spec
        if step.desired and isinstance(before, Disk) and isinstance(after, Disk) and after.size < before.size:
            place = environment.place("groups", step.desired.group, "data_disks", after.device, "size")
            sizes = f"of {before.size / GIB:g}G cannot become one of {after.size / GIB:g}G"
            raise ConfigError(
                f"{place}: the data disk {step.name} {sizes}: no disk shrinks",
                remedy=f"write size: {before.size / GIB:g}G, or more",
            )


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
