"""Balancers in the store: their listeners, and the target groups that are attached to them."""

from __future__ import annotations

from datetime import timedelta

from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import HealthCheckSpec
from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as rpc
from yandex.cloud.loadbalancer.v1.health_check_pb2 import HealthCheck
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import AttachedTargetGroup, Listener, NetworkLoadBalancer
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.core.constants import MAX_PORT
from samovar.localcloud.api.errors import invalid, not_found, precondition
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository, require
from samovar.localcloud.store.store import NoteKey, Store
from samovar.localcloud.vpc.addresses.model import Ipam

HEALTHY = NoteKey[list[list[str]]]("balancer.healthy")
"""A note on a balancer: the targets that its probes hold for healthy, as pairs of subnet id and address."""
DEFAULT_INTERVAL, DEFAULT_TIMEOUT, DEFAULT_THRESHOLD = 2, 1, 2
SHORTEST, LONGEST = 1, 60
"""Seconds that interval and timeout of a check may have (documented in health-check.md)."""
MARGIN = timedelta(seconds=1)


class LoadBalancers(Repository[NetworkLoadBalancer]):
    """The balancers of all networks."""

    kind, id_prefix = NetworkLoadBalancer, "enp"
    count_quota = Quota("ylb.networkLoadBalancers.count", NetworkLoadBalancer, 2)

    def __init__(self, store: Store, ipam: Ipam) -> None:
        super().__init__(store)
        self._ipam = ipam

    def attach(self, balancer: NetworkLoadBalancer, attached: AttachedTargetGroup) -> None:
        """Attach a target group; its health checks are stored with their defaults."""
        require(self.store, TargetGroup, attached.target_group_id)
        if any(other.target_group_id == attached.target_group_id for other in balancer.attached_target_groups):
            raise precondition(f"TargetGroup {attached.target_group_id} is attached already")
        attachment = balancer.attached_target_groups.add()
        attachment.CopyFrom(attached)
        for check in attachment.health_checks:
            fill_check(check)
            _check_times(check)
            _check_port(max(check.http_options.port, check.tcp_options.port))
            if check.HasField("http_options"):
                check.http_options.path = check.http_options.path or "/"

    def replace_listeners(self, balancer: NetworkLoadBalancer, specs: list[rpc.ListenerSpec]) -> None:
        """Replace the listeners; a new one of the same name keeps the address."""
        before = {listener.name: listener.address for listener in balancer.listeners}
        del balancer.listeners[:]
        self.put(balancer)
        self.add_listeners(balancer, specs, next((before[spec.name] for spec in specs if spec.name in before), ""))

    def add_listeners(self, balancer: NetworkLoadBalancer, specs: list[rpc.ListenerSpec], kept: str = "") -> None:
        """Add listeners at one address: the one that any of them names, or else the one that is `kept`."""
        chosen = next(filter(None, (_address_spec(spec).address for spec in specs)), kept)
        for spec in specs:
            _address_spec(spec).address = _address_spec(spec).address or chosen
            self.add_listener(balancer, spec)

    def add_listener(self, balancer: NetworkLoadBalancer, spec: rpc.ListenerSpec) -> None:
        """Add a listener at the balancer's address; the first one chooses it, and another one is refused."""
        if spec.protocol == Listener.UDP:
            raise precondition("UDP listeners are off in the local cloud, as they are by default in Yandex Cloud")
        if any(other.port == spec.port or other.name == spec.name for other in balancer.listeners):
            raise invalid(f"listener {spec.name}: its name or port {spec.port} is taken", "listener_specs")
        _check_port(max(spec.port, spec.target_port))
        listener = balancer.listeners.add(
            name=spec.name, port=spec.port, protocol=spec.protocol, target_port=spec.target_port or spec.port
        )
        listener.address = self._address(balancer, spec, listener)
        if balancer.type == NetworkLoadBalancer.INTERNAL:
            listener.subnet_id = spec.internal_address_spec.subnet_id

    def _address(self, balancer: NetworkLoadBalancer, spec: rpc.ListenerSpec, listener: Listener) -> str:
        internal = spec.WhichOneof("address") == "internal_address_spec"
        if internal != (balancer.type == NetworkLoadBalancer.INTERNAL):
            raise invalid(f"listener {listener.name}: its address is not of the balancer's type", "listener_specs")
        requested = _address_spec(spec).address
        if own := next((other.address for other in balancer.listeners if other.address), ""):
            if requested not in {"", own}:
                raise invalid(
                    f"listener {listener.name}: all listeners of a balancer have one address", "listener_specs"
                )
            return own
        if not internal:
            return str(self._ipam.public(requested, reserved=bool(requested)))
        subnet = require(self.store, Subnet, spec.internal_address_spec.subnet_id)
        return str(self._ipam.internal(subnet, requested, reserved=bool(requested)))

    def with_status(self, balancer: NetworkLoadBalancer) -> NetworkLoadBalancer:
        """Set the status: INACTIVE is documented for a balancer without listeners or without targets."""
        groups = [self.store.get(TargetGroup, a.target_group_id) for a in balancer.attached_target_groups]
        works = balancer.listeners and any(group and group.targets for group in groups)
        balancer.status = NetworkLoadBalancer.ACTIVE if works else NetworkLoadBalancer.INACTIVE
        return balancer


def _address_spec(spec: rpc.ListenerSpec) -> rpc.ExternalAddressSpec | rpc.InternalAddressSpec:
    internal = spec.WhichOneof("address") == "internal_address_spec"
    return spec.internal_address_spec if internal else spec.external_address_spec


def fill_check(check: HealthCheck | HealthCheckSpec) -> None:
    """Set the documented defaults of a health check: a client crashes where interval or timeout is absent."""
    if not check.HasField("interval"):
        check.interval.seconds = DEFAULT_INTERVAL
    if not check.HasField("timeout"):
        check.timeout.seconds = DEFAULT_TIMEOUT
    check.unhealthy_threshold = check.unhealthy_threshold or DEFAULT_THRESHOLD
    check.healthy_threshold = check.healthy_threshold or DEFAULT_THRESHOLD


def _check_times(check: HealthCheck) -> None:
    """Refuse times out of their bounds, and an interval that is not a second longer than the timeout at least.

    Sources: documentation, network-load-balancer/concepts/health-check and operations/load-balancer-create.
    """
    for field in ("interval", "timeout"):
        seconds = getattr(check, field).ToTimedelta().total_seconds()
        if not SHORTEST <= seconds <= LONGEST:
            raise invalid(f"{field} is {seconds:g} s, not {SHORTEST} to {LONGEST} s", f"health_checks.{field}")
    if check.interval.ToTimedelta() - check.timeout.ToTimedelta() < MARGIN:
        raise invalid("interval is not a second longer than timeout", "health_checks.interval")


def _check_port(port: int) -> None:
    """Refuse a port that no listener, target or check has (documentation, operations/load-balancer-create)."""
    if port > MAX_PORT:
        raise invalid(f"port {port} is not 1 to {MAX_PORT}", "port")


def attachment(balancer: NetworkLoadBalancer, target_group_id: str) -> AttachedTargetGroup:
    """Return how a target group is attached. Raises Refused with NOT_FOUND."""
    for attached in balancer.attached_target_groups:
        if attached.target_group_id == target_group_id:
            return attached
    raise not_found("AttachedTargetGroup", target_group_id)
