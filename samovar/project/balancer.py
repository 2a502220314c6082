"""The network load balancer before a group, and the health checks of both."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from samovar.project.fields import CheckInterval, CheckTimeout, Name, Port, Strict, Threshold


class BalancerType(StrEnum):
    """The kind of a balancer's address: a public one, or one of the network's own."""

    EXTERNAL = "external"
    INTERNAL = "internal"


class Health(Strict):
    """The check of a machine: it is well if a page answers 200, or if a port takes connections.

    Intervals are in seconds. Without them, and without thresholds, they suit the group: one with a data disk has more
    time, for it is not to be recreated while it is merely busy.
    """

    type: Literal["http", "tcp"] = Field(default="http", description="`http`, or `tcp`: a port that takes connections")
    port: Port = Field(default=80, description="the port")
    path: Annotated[str, Field(pattern="^/")] = Field(default="/-/health", description="the path of the page")
    interval: CheckInterval | None = Field(default=None, description="seconds between two checks")
    timeout: CheckTimeout | None = Field(default=None, description="seconds for an answer, fewer than `interval`")
    healthy: Threshold | None = Field(default=None, description="so many good answers in a row make it healthy")
    unhealthy: Threshold | None = Field(default=None, description="so many bad ones in a row make it unhealthy")

    @model_validator(mode="after")
    def _fits_type(self) -> Self:
        if self.type == "tcp" and "path" in self.model_fields_set:
            raise ValueError("a check of type tcp has no path")
        if self.interval and self.timeout and self.interval <= self.timeout:
            raise ValueError("the interval is longer than the timeout")
        return self


class Listener(Strict):
    """A port of a balancer."""

    port: Port = Field(description="the port of the balancer's address")
    target_port: Port | None = Field(default=None, description="the port of the machines, where it is another one")

    @property
    def target(self) -> int:
        """Return the port of the machines."""
        return self.target_port or self.port


def _listener(value: object) -> object:
    return {"port": value} if isinstance(value, int) else value


ListenerOrPort = Annotated[Listener, BeforeValidator(_listener, json_schema_input_type=int | Listener)]
"""A listener, or the number of a port that is the machines' as well."""


class Balancer(Strict):
    """The network load balancer before a group."""

    type: BalancerType = Field(
        description="`external`: at a public address, reserved first and kept by `destroy --keep-address`; or "
        "`internal`: at a reserved address of the network's own"
    )
    listeners: dict[Name, ListenerOrPort] = Field(
        min_length=1,
        max_length=10,
        description="the ports by name: `http` and `https` speak what they are called, any other is plain TCP. "
        "Each is a number, or `{port: 80, target_port: 8080}`",
    )
    health: Health | None = Field(
        default=None,
        description="the check that decides whether a machine gets requests; without it the group's own `health`",
    )

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if len({listener.port for listener in self.listeners.values()}) < len(self.listeners):
            raise ValueError("each listener of a balancer has a port of its own")
        return self
