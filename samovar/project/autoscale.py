"""The scaling of a group by load, as the API has it. Durations are in seconds."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from samovar.project.fields import CloudId, Strict

METRIC = r"^[a-zA-Z0-9./@_][ 0-9a-zA-Z./@_,:;()\[\]<>-]{0,198}$"
"""The API's pattern for names of metrics and values of their labels."""
Metric = Annotated[str, StringConstraints(pattern=METRIC)]
Label = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z][0-9a-zA-Z_]{0,31}$")]


class CustomRule(Strict):
    """A metric of Yandex Monitoring by which a group is scaled; no local cloud has any."""

    metric_name: Metric = Field(description="the name of the metric")
    rule_type: Literal["utilization", "workload"] = Field(
        description="`utilization`: the load of one machine, with a label `instance_id`; `workload`: that of the group"
    )
    metric_type: Literal["gauge", "counter"] = Field(
        default="gauge", description="`gauge`: its value counts; `counter`: how much it grows"
    )
    target: Annotated[float, Field(gt=0)] = Field(description="the value that a machine may have")
    labels: dict[Label, Metric] = Field(default={}, description="the labels of the metric, beside those below")
    service: Annotated[str, Field(max_length=200)] = Field(
        default="", description="the service that the metric is of; without it `custom`"
    )
    folder_id: CloudId | None = Field(default=None, description="the folder that has it; without it the group's own")


class Autoscale(Strict):
    """The rules by which the cloud changes the number of a group's machines. The largest result of all rules counts."""

    type: Literal["regional", "zonal"] = Field(
        default="regional", description="whether the load is that of the whole group, or of each zone by itself"
    )
    min_zone_size: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1, description="how many machines a zone keeps at least"
    )
    max_size: Annotated[int, Field(ge=1, le=100)] = Field(description="how many machines the group has at most")
    cpu_utilization: Annotated[int, Field(ge=10, le=100)] | None = Field(
        default=None, description="the load of the processors at which the group is kept, in per cent"
    )
    measurement_duration: Annotated[int, Field(ge=60, le=600)] = Field(
        default=60, description="seconds over which the load is averaged"
    )
    warmup_duration: Annotated[int, Field(ge=0, le=600)] = Field(
        default=60, description="seconds in which a new machine counts with the average load of the others"
    )
    stabilization_duration: Annotated[int, Field(ge=60, le=1800)] = Field(
        default=300, description="seconds after the group grew in which it does not shrink"
    )
    custom_rules: tuple[CustomRule, ...] = Field(
        default=(), max_length=3, description="metrics of Yandex Monitoring; a local cloud refuses them"
    )

    @model_validator(mode="after")
    def _has_a_rule(self) -> Self:
        if self.cpu_utilization is None and not self.custom_rules:
            raise ValueError("a group is scaled by cpu_utilization, custom_rules, or both")
        return self

    def least_beginning(self, zones: int) -> int:
        """Return how many machines the group begins with at least (Yandex Cloud's documentation, deploy/zones)."""
        of_all = any(rule.rule_type == "workload" for rule in self.custom_rules)
        return zones if self.type == "zonal" and not of_all else 1
