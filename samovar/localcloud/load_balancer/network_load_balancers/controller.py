"""Keeps the probes of every balancer's targets, and says which of them may be sent to.

What a target was found to be is kept in the store, so that a new run of the daemon goes on sending where the last one
sent, and does not wait for its own first probes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address
from typing import NamedTuple

from yandex.cloud.loadbalancer.v1.health_check_pb2 import HealthCheck as ApiCheck
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import NetworkLoadBalancer, TargetState
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target as ApiTarget
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.network.health_checks import Health, HealthCheck, Prober, Status, Target
from samovar.localcloud.network.model import Fabric
from samovar.localcloud.store.store import Store

HEALTHY = "balancer.healthy"
STATES = {
    Status.INITIAL: TargetState.INITIAL,
    Status.HEALTHY: TargetState.HEALTHY,
    Status.UNHEALTHY: TargetState.UNHEALTHY,
}


class Key(NamedTuple):
    """A target as one balancer sees it."""

    balancer_id: str
    subnet_id: str
    address: str


class Balancers:
    """The balancers' eyes."""

    def __init__(self, store: Store, fabric: Fabric, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        self._prober: Prober[Key] = Prober(fabric.probe, self._on_change)
        self._seen = -1
        self._known = {
            Key(balancer_id, *pair) for balancer_id, pairs in store.all_noted(HEALTHY).items() for pair in pairs
        }

    async def step(self) -> None:
        if self._seen == self._store.revision:
            return
        self._seen = self._store.revision
        balancers = self._store.all(NetworkLoadBalancer)
        targets = {key: target for balancer in balancers for key, target in self._targets(balancer)}
        self._known &= targets.keys()
        self._prober.set_targets(targets, healthy=self._known)

    async def close(self) -> None:
        await self._prober.close()

    def serves(self, balancer_id: str, target: ApiTarget) -> bool:
        """Whether a balancer may send to a target."""
        return Key(balancer_id, target.subnet_id, target.address) in self._known

    def answers(self, target: ApiTarget) -> bool:
        """Whether a target said in its last probe how it is, though it may have said that it is not well."""
        where = (target.subnet_id, target.address)
        return any(health.answered for key, health in self._prober.healths() if key[1:] == where)

    def target_status(self, balancer: NetworkLoadBalancer, target: ApiTarget) -> TargetState.Status.ValueType:
        """What `GetTargetStates` says of a target."""
        if self.serves(balancer.id, target):
            return TargetState.HEALTHY
        return STATES[self._prober.health(Key(balancer.id, target.subnet_id, target.address)).status]

    def _targets(self, balancer: NetworkLoadBalancer) -> Iterator[tuple[Key, Target]]:
        for attached in balancer.attached_target_groups:
            group = self._store.get(TargetGroup, attached.target_group_id)
            for target in group.targets if group else ():
                subnet = self._store.get(Subnet, target.subnet_id)
                if subnet is not None:
                    check = health_check(attached.health_checks[0])
                    key = Key(balancer.id, target.subnet_id, target.address)
                    yield key, Target(subnet.network_id, IPv4Address(target.address), check)

    def _on_change(self, key: Key, health: Health) -> None:
        """The store is told before the rules change, so that they can be made again from it."""
        (self._known.add if health.status is Status.HEALTHY else self._known.discard)(key)
        if self._store.get(NetworkLoadBalancer, key.balancer_id) is not None:
            self._store.note(key.balancer_id, HEALTHY, _pairs(self._known, key.balancer_id))
        self._wake()


def health_check(check: ApiCheck) -> HealthCheck:
    """A check of the API as the prober takes it."""
    http = check.WhichOneof("options") == "http_options"
    return HealthCheck(
        name=check.name,
        interval=check.interval.ToTimedelta().total_seconds(),
        timeout=check.timeout.ToTimedelta().total_seconds(),
        unhealthy_threshold=check.unhealthy_threshold,
        healthy_threshold=check.healthy_threshold,
        port=check.http_options.port if http else check.tcp_options.port,
        path=check.http_options.path if http else None,
    )


def _pairs(known: Iterable[Key], balancer_id: str) -> list[list[str]]:
    return sorted([key.subnet_id, key.address] for key in known if key.balancer_id == balancer_id)
