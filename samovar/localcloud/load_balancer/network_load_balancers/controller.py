"""Keeps the probes of every balancer's targets, and decides which of them may be sent to.

The health of each target is kept in the store, so that a new run of the daemon goes on sending where the last one
sent, and does not wait for its own first probes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from ipaddress import IPv4Address
from typing import NamedTuple, Protocol

from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import HealthCheckSpec
from yandex.cloud.loadbalancer.v1.health_check_pb2 import HealthCheck as ApiCheck
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import NetworkLoadBalancer, TargetState
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target as ApiTarget
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.load_balancer.network_load_balancers.model import HEALTHY
from samovar.localcloud.network.health_checks import Health, HealthCheck, Prober, Status, Target
from samovar.localcloud.network.model import Fabric
from samovar.localcloud.store.store import Store

STATES = {
    Status.INITIAL: TargetState.INITIAL,
    Status.HEALTHY: TargetState.HEALTHY,
    Status.UNHEALTHY: TargetState.UNHEALTHY,
}


class Key(NamedTuple):
    """A target of one balancer."""

    balancer_id: str
    subnet_id: str
    address: str


class RoutingDelay(Protocol):
    """Returns the seconds until a balancer acts on a change of health; a shift of a zone takes longer."""

    def __call__(self, *, shifts_zone: bool) -> float: ...


def _at_once(*, shifts_zone: bool) -> float:  # noqa: ARG001 - the protocol's
    return 0.0


class LoadBalancerController:
    """The controller runs the probes and remembers the targets that passed."""

    def __init__(self, store: Store, fabric: Fabric, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        self._prober: Prober[Key] = Prober(fabric.probe, self._on_change)
        self._revision = -1
        self._targets_now: frozenset[Key] = frozenset()
        self._lost_zones: set[tuple[str, str]] = set()
        self._due: dict[Key, float] = {}
        self.routing_delay: RoutingDelay = _at_once
        self._healthy = {
            Key(balancer_id, *pair) for balancer_id, pairs in store.all_noted(HEALTHY).items() for pair in pairs
        }

    async def reconcile(self) -> None:
        if self._revision == self._store.revision:
            return
        self._revision = self._store.revision
        balancers = self._store.all(NetworkLoadBalancer)
        targets = {key: target for balancer in balancers for key, target in self._targets(balancer)}
        self._targets_now = frozenset(targets)
        self._healthy &= self._targets_now
        self._prober.set_targets(targets, healthy=self._healthy)

    async def close(self) -> None:
        await self._prober.close()

    def serves(self, balancer_id: str, target: ApiTarget) -> bool:
        """Return whether a balancer may send to a target."""
        return Key(balancer_id, target.subnet_id, target.address) in self._healthy

    def answers(self, target: ApiTarget) -> bool:
        """Return whether a target answered its last probe, be it with an error."""
        where = (target.subnet_id, target.address)
        return any(health.answered for key, health in self._prober.healths() if key[1:] == where)

    def target_status(self, balancer: NetworkLoadBalancer, target: ApiTarget) -> TargetState.Status.ValueType:
        """Return the status of a target as `GetTargetStates` shows it."""
        status = self._prober.health(Key(balancer.id, target.subnet_id, target.address)).status
        if status is Status.INITIAL and self.serves(balancer.id, target):
            return TargetState.HEALTHY
        return STATES[status]

    def _targets(self, balancer: NetworkLoadBalancer) -> Iterator[tuple[Key, Target]]:
        for attached in balancer.attached_target_groups:
            group = self._store.get(TargetGroup, attached.target_group_id)
            for target in group.targets if group else ():
                subnet = self._store.get(Subnet, target.subnet_id)
                if subnet is not None:
                    check = health_check(attached.health_checks[0], attached.health_checks[0].name)
                    key = Key(balancer.id, target.subnet_id, target.address)
                    yield key, Target(subnet.network_id, IPv4Address(target.address), check)

    def _on_change(self, key: Key, health: Health) -> None:
        """Let the balancer act on a change of health, in the order in which the changes came."""
        healthy = health.status is Status.HEALTHY
        delay = self.routing_delay(shifts_zone=self._shifts_zone(key, healthy=healthy))
        loop = asyncio.get_running_loop()
        self._due[key] = max(loop.time() + delay, self._due.get(key, 0.0))
        if self._due[key] <= loop.time():
            self._route(key, healthy=healthy)
        else:
            loop.call_at(self._due[key], partial(self._route, key, healthy=healthy))

    def _shifts_zone(self, key: Key, *, healthy: bool) -> bool:
        """Return whether a change empties a zone while others have targets, or fills one that was emptied."""
        zone = (key.balancer_id, self._zone(key))
        others = [each for each, health in self._prober.healths() if each != key and each.balancer_id == zone[0]]
        well = [each for each in others if self._prober.health(each).status is Status.HEALTHY]
        if any(self._zone(each) == zone[1] for each in well):
            return False
        if healthy:
            was_lost = zone in self._lost_zones
            self._lost_zones.discard(zone)
            return was_lost
        self._lost_zones.add(zone)
        return bool(well)

    def _zone(self, key: Key) -> str:
        subnet = self._store.get(Subnet, key.subnet_id)
        return subnet.zone_id if subnet else ""

    def _route(self, key: Key, *, healthy: bool) -> None:
        """Store a change before the rules change, so that they can be made again from it."""
        if healthy and key not in self._targets_now:
            return
        (self._healthy.add if healthy else self._healthy.discard)(key)
        if self._store.get(NetworkLoadBalancer, key.balancer_id) is not None:
            self._store.note(key.balancer_id, HEALTHY, _pairs(self._healthy, key.balancer_id))
        self._wake()


def health_check(check: ApiCheck | HealthCheckSpec, name: str) -> HealthCheck:
    """Return a check of the API, of a balancer or of an instance group, as the prober takes it."""
    http = check.HasField("http_options")
    return HealthCheck(
        name=name,
        interval=check.interval.ToTimedelta().total_seconds(),
        timeout=check.timeout.ToTimedelta().total_seconds(),
        unhealthy_threshold=check.unhealthy_threshold,
        healthy_threshold=check.healthy_threshold,
        port=check.http_options.port if http else check.tcp_options.port,
        path=(check.http_options.path or "/") if http else None,
    )


def _pairs(keys: Iterable[Key], balancer_id: str) -> list[list[str]]:
    return sorted([key.subnet_id, key.address] for key in keys if key.balancer_id == balancer_id)
