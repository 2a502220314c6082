"""Measures the load of groups that are scaled by it, several times a minute, and changes their size."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup, ManagedInstance

from samovar.localcloud.compute.instance_groups.autoscale import Load, Rules, Scaled, average, next_size
from samovar.localcloud.compute.instance_groups.group_mapping import seconds
from samovar.localcloud.compute.instance_groups.model import (
    RUNNING,
    add_log_record,
    is_autoscaled,
    largest_size,
    members_of,
    smallest_size,
    target_size,
)
from samovar.localcloud.store.store import NoteKey, Store

INTERVAL = 5.0
"""Seconds between two measurements."""
SCALED = NoteKey[dict[str, float]]("group.scaled")
"""A note on a group: when its size last changed, and when it last grew."""
GIVEN = NoteKey[float]("group.load")
"""A note on a group of simulated machines: its load in per cent of one machine, which its machines share."""
LONGEST_MEASUREMENT = 600.0
"""Seconds: the API's bound."""


@dataclass
class _Usage:
    """The processor seconds of an instance at its last measurement, and the samples since it started."""

    used: float
    at: float
    samples: deque[tuple[float, float]]


class AutoscaleController:
    """Measures processors through `cpu_seconds`; where it returns None, the group's load is the one that was given.

    The samples are in memory: a new daemon measures anew before it changes a size.
    """

    def __init__(self, store: Store, cpu_seconds: Callable[[str], float | None], now: Callable[[], float]) -> None:
        self._store = store
        self._cpu_seconds = cpu_seconds
        self._now = now
        self._began = self._last = now()
        self._usages: dict[str, _Usage] = {}

    async def reconcile(self) -> None:
        """Do nothing between two measurements, or where no group is scaled by load."""
        now = self._now()
        if 0 <= now - self._last < INTERVAL:
            return
        self._last = now
        groups = [group for group in self._store.all(InstanceGroup) if _scales_by_cpu(group)]
        instances = {member.instance_id for group in groups for member in members_of(self._store, group.id)}
        self._usages = {each: usage for each, usage in self._usages.items() if each in instances}
        for group in groups:
            self._scale(group, now)

    def _scale(self, group: InstanceGroup, now: float) -> None:
        loads, rules = self._loads(group, now), _rules(group)
        scaled = Scaled(target_size(group), **self._store.noted(group.id, SCALED, {"changed_at": self._began}))
        size = next_size(rules, loads, replace(scaled, changed_at=max(scaled.changed_at, self._began)), now)
        if size == scaled.size:
            return
        times = {"changed_at": now, "grew_at": now if size > scaled.size else scaled.grew_at}
        measured = [load.percent for load in loads if load.percent is not None]
        with self._store.transaction():
            group.managed_instances_state.target_size = size
            self._store.put(group)
            self._store.note(group.id, SCALED, times)
            load = f"{sum(measured) / len(measured):.0f}% of the processors in use, target {rules.target:.0f}%"
            add_log_record(self._store, group.id, now, f"{load}: {scaled.size} -> {size} machines")

    def _loads(self, group: InstanceGroup, now: float) -> list[Load]:
        members = members_of(self._store, group.id)
        running = sum(member.status in RUNNING for member in members)
        given = min(self._store.noted(group.id, GIVEN, 0.0) / max(running, 1), 100.0)
        return [Load(member.zone_id, self._load(group, member, given, now)) for member in members]

    def _load(self, group: InstanceGroup, member: ManagedInstance, given: float, now: float) -> float | None:
        """Return the load of a member; None for a machine that starts, warms up, or was measured once only."""
        instance = self._store.get(Instance, member.instance_id)
        if instance is None or member.status not in RUNNING:
            self._usages.pop(member.instance_id, None)
            return None
        self._measure(instance, given, now)
        scale = group.scale_policy.auto_scale
        if now - member.status_changed_at.ToNanoseconds() / 1e9 < seconds(scale.warmup_duration):
            return None
        return average(self._usages[instance.id].samples, now, seconds(scale.measurement_duration))

    def _measure(self, instance: Instance, given: float, now: float) -> None:
        used = self._cpu_seconds(instance.id)
        usage = self._usages.get(instance.id)
        if usage is None:
            usage = self._usages[instance.id] = _Usage(used or 0.0, now, deque())
        elif used is None:
            usage.samples.append((now, given))
        elif now > usage.at:
            share = max(used - usage.used, 0.0) / (now - usage.at) / instance.resources.cores
            usage.samples.append((now, share * 100))
            usage.used = used
        usage.at = now
        while usage.samples and usage.samples[0][0] <= now - LONGEST_MEASUREMENT:
            usage.samples.popleft()


def _scales_by_cpu(group: InstanceGroup) -> bool:
    by_cpu = is_autoscaled(group) and group.scale_policy.auto_scale.HasField("cpu_utilization_rule")
    return by_cpu and group.status == InstanceGroup.ACTIVE


def _rules(group: InstanceGroup) -> Rules:
    scale = group.scale_policy.auto_scale
    return Rules(
        target=scale.cpu_utilization_rule.utilization_target,
        smallest=smallest_size(group),
        largest=largest_size(group),
        measurement=seconds(scale.measurement_duration),
        stabilization=seconds(scale.stabilization_duration),
        zonal=scale.auto_scale_type != scale.REGIONAL,
    )
