"""The scaling policy of an instance group: a fixed size, or rules by which the cloud changes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from google.protobuf.duration_pb2 import Duration
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import ScalePolicy

from samovar.project import autoscale

Type = ScalePolicy.AutoScale.AutoScaleType


@dataclass(frozen=True)
class CustomRule:
    """A metric of Monitoring, in the words of the API."""

    metric_name: str
    rule_type: str
    metric_type: str
    target: float
    labels: tuple[tuple[str, str], ...]
    service: str
    folder_id: str

    def __str__(self) -> str:
        return f"{self.metric_name} {self.target:g}"


@dataclass(frozen=True)
class AutoScale:
    """The rules of a group that is scaled by load. Durations are in seconds; a load of 0 is no rule."""

    type: str
    min_zone_size: int
    max_size: int
    cpu_utilization: float
    measurement_duration: int
    warmup_duration: int
    stabilization_duration: int
    custom_rules: tuple[CustomRule, ...] = ()

    @classmethod
    def of(cls, model: autoscale.Autoscale) -> Self:
        """Return the rules that an environment's file states."""
        return cls(
            type=model.type.upper(),
            min_zone_size=model.min_zone_size,
            max_size=model.max_size,
            cpu_utilization=model.cpu_utilization or 0,
            measurement_duration=model.measurement_duration,
            warmup_duration=model.warmup_duration,
            stabilization_duration=model.stabilization_duration,
            custom_rules=tuple(map(_custom_rule, model.custom_rules)),
        )

    def __str__(self) -> str:
        cpu = [f"cpu {self.cpu_utilization:g}%"] if self.cpu_utilization else []
        rules = ", ".join([*cpu, *map(str, self.custom_rules)])
        durations = (self.measurement_duration, self.warmup_duration, self.stabilization_duration)
        return (
            f"{self.type.lower()}, {self.min_zone_size} a zone to {self.max_size} by {rules} "
            f"({'/'.join(map(str, durations))} s)"
        )


def build_scale_policy(size: int, rules: AutoScale | None) -> ScalePolicy:
    """Return the API's message; with rules the group begins with `size` machines."""
    if rules is None:
        return ScalePolicy(fixed_scale=ScalePolicy.FixedScale(size=size))
    message = ScalePolicy.AutoScale(
        auto_scale_type=Type.Value(rules.type),
        min_zone_size=rules.min_zone_size,
        max_size=rules.max_size,
        initial_size=size,
        measurement_duration=Duration(seconds=rules.measurement_duration),
        warmup_duration=Duration(seconds=rules.warmup_duration),
        stabilization_duration=Duration(seconds=rules.stabilization_duration),
        custom_rules=[_build_rule(rule) for rule in rules.custom_rules],
    )
    if rules.cpu_utilization:
        message.cpu_utilization_rule.utilization_target = rules.cpu_utilization
    return ScalePolicy(auto_scale=message)


def read_scale_policy(message: ScalePolicy) -> tuple[int, AutoScale | None]:
    """Return a fixed size, or that which the group begins with and its rules."""
    if message.WhichOneof("scale_type") != "auto_scale":
        return message.fixed_scale.size, None
    scale = message.auto_scale
    rules = AutoScale(
        type=Type.Name(scale.auto_scale_type or Type.ZONAL),
        min_zone_size=scale.min_zone_size,
        max_size=scale.max_size,
        cpu_utilization=scale.cpu_utilization_rule.utilization_target,
        measurement_duration=scale.measurement_duration.seconds,
        warmup_duration=scale.warmup_duration.seconds,
        stabilization_duration=scale.stabilization_duration.seconds,
        custom_rules=tuple(map(_read_rule, scale.custom_rules)),
    )
    return scale.initial_size, rules


def _custom_rule(model: autoscale.CustomRule) -> CustomRule:
    return CustomRule(
        metric_name=model.metric_name,
        rule_type=model.rule_type.upper(),
        metric_type=model.metric_type.upper(),
        target=model.target,
        labels=tuple(sorted(model.labels.items())),
        service=model.service,
        folder_id=model.folder_id or "",
    )


def _build_rule(rule: CustomRule) -> ScalePolicy.CustomRule:
    return ScalePolicy.CustomRule(
        metric_name=rule.metric_name,
        rule_type=ScalePolicy.CustomRule.RuleType.Value(rule.rule_type),
        metric_type=ScalePolicy.CustomRule.MetricType.Value(rule.metric_type),
        target=rule.target,
        labels=dict(rule.labels),
        service=rule.service,
        folder_id=rule.folder_id,
    )


def _read_rule(message: ScalePolicy.CustomRule) -> CustomRule:
    return CustomRule(
        metric_name=message.metric_name,
        rule_type=ScalePolicy.CustomRule.RuleType.Name(message.rule_type),
        metric_type=ScalePolicy.CustomRule.MetricType.Name(message.metric_type),
        target=message.target,
        labels=tuple(sorted(message.labels.items())),
        service=message.service,
        folder_id=message.folder_id,
    )
