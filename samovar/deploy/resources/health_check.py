"""Health checks, which instance groups and load balancers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from google.protobuf.duration_pb2 import Duration
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import HealthCheckSpec
from yandex.cloud.loadbalancer.v1.health_check_pb2 import HealthCheck as BalancerCheck


@dataclass(frozen=True)
class HealthCheck:
    """A machine is healthy while `path` answers 200, asked every `interval` seconds; thresholds count in a row."""

    port: int
    path: str
    interval: int = 2
    timeout: int = 1
    unhealthy: int = 2
    healthy: int = 2


class CheckTiming(TypedDict):
    """The fields that both messages have under the same names."""

    interval: Duration
    timeout: Duration
    unhealthy_threshold: int
    healthy_threshold: int


def check_timing(check: HealthCheck) -> CheckTiming:
    """Return when a check is made, and how many answers in a row count."""
    return {
        "interval": Duration(seconds=check.interval),
        "timeout": Duration(seconds=check.timeout),
        "unhealthy_threshold": check.unhealthy,
        "healthy_threshold": check.healthy,
    }


def read_health_check(message: HealthCheckSpec | BalancerCheck) -> HealthCheck:
    """Return the check that a group's or a balancer's message describes."""
    return HealthCheck(
        port=message.http_options.port,
        path=message.http_options.path,
        interval=message.interval.seconds,
        timeout=message.timeout.seconds,
        unhealthy=message.unhealthy_threshold,
        healthy=message.healthy_threshold,
    )
