"""Health checks, which instance groups and load balancers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import HealthCheckSpec
from yandex.cloud.loadbalancer.v1.health_check_pb2 import HealthCheck as BalancerCheck

MessageT = TypeVar("MessageT", HealthCheckSpec, BalancerCheck)


@dataclass(frozen=True)
class HealthCheck:
    """A machine is healthy while `path` answers 200, or without a path while the port takes connections.

    It is asked every `interval` seconds; thresholds count in a row.
    """

    port: int
    path: str
    interval: int = 2
    timeout: int = 1
    unhealthy: int = 2
    healthy: int = 2


def build_health_check(message: MessageT, check: HealthCheck) -> MessageT:
    """Fill a group's or a balancer's message, whose fields have the same names, and return it."""
    message.interval.seconds = check.interval
    message.timeout.seconds = check.timeout
    message.unhealthy_threshold = check.unhealthy
    message.healthy_threshold = check.healthy
    if check.path:
        message.http_options.port = check.port
        message.http_options.path = check.path
    else:
        message.tcp_options.port = check.port
    return message


def read_health_check(message: HealthCheckSpec | BalancerCheck) -> HealthCheck:
    """Return the check that a group's or a balancer's message describes."""
    http = message.HasField("http_options")
    return HealthCheck(
        port=message.http_options.port if http else message.tcp_options.port,
        path=message.http_options.path if http else "",
        interval=message.interval.seconds,
        timeout=message.timeout.seconds,
        unhealthy=message.unhealthy_threshold,
        healthy=message.healthy_threshold,
    )
