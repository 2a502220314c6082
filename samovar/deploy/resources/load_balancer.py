"""Network load balancers on reserved addresses, each in front of the target group of one instance group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups_rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.loadbalancer.v1 import network_load_balancer_pb2 as api
from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as rpc
from yandex.cloud.loadbalancer.v1.health_check_pb2 import HealthCheck as HealthCheckMessage
from yandex.cloud.loadbalancer.v1.network_load_balancer_service_pb2_grpc import NetworkLoadBalancerServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.session import Session
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.resources.address import reserved_address
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, started
from samovar.deploy.resources.health_check import HealthCheck, build_health_check, read_health_check
from samovar.deploy.resources.resource import Existing, Kind, Protectable, Ref, Resource

LISTENERS, TARGETS, PROTECTION = "listener_specs", "attached_target_groups", "deletion_protection"
MASK = {
    "address": LISTENERS,
    "listeners": LISTENERS,
    "group": TARGETS,
    "check": TARGETS,
    "deletion_protection": PROTECTION,
}
"""The API's field for each field that can change."""


@dataclass(frozen=True)
class Listener:
    """One port of a load balancer; `name` is the scheme that is spoken there."""

    name: str
    port: int
    target_port: int

    def __str__(self) -> str:
        return f"{self.name} {self.port}"


@dataclass(frozen=True)
class LoadBalancer(Protectable):
    """A network load balancer on a reserved address; one with a subnet is internal."""

    KIND = Kind.LOAD_BALANCER
    IMMUTABLE = frozenset({"subnet"})
    QUOTA = "ylb.networkLoadBalancers.count"

    address: str
    listeners: tuple[Listener, ...]
    group: str
    check: HealthCheck
    subnet: str = ""

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.INTERNAL_ADDRESS if self.subnet else Kind.ADDRESS, self.address)
        if self.subnet:
            yield Ref(Kind.SUBNET, self.subnet)
        yield Ref(Kind.INSTANCE_GROUP, self.group)


class LoadBalancerHandler(Handler[LoadBalancer, api.NetworkLoadBalancer]):
    """Creates external and internal load balancers."""

    KIND = Kind.LOAD_BALANCER

    def list(self, session: Session) -> list[api.NetworkLoadBalancer]:
        request = rpc.ListNetworkLoadBalancersRequest(folder_id=session.folder_id)
        client = session.client(NetworkLoadBalancerServiceStub)
        return session.list(client.List, request, lambda page: page.network_load_balancers)

    def read(self, message: api.NetworkLoadBalancer, index: IdIndex) -> LoadBalancer:
        listeners = [Listener(each.name, each.port, each.target_port) for each in message.listeners]
        attached, *others = message.attached_target_groups or [api.AttachedTargetGroup()]
        groups = [index.name_of(each.target_group_id) for each in (attached, *others)]
        return LoadBalancer(
            address=", ".join(sorted({index.name_of(each.address) for each in message.listeners})),
            listeners=tuple(sorted(listeners, key=lambda listener: listener.name)),
            group=", ".join(groups),
            check=read_health_check(next(iter(attached.health_checks), HealthCheckMessage())),
            subnet=", ".join(sorted({index.name_of(each.subnet_id) for each in message.listeners if each.subnet_id})),
            deletion_protection=message.deletion_protection,
        )

    def create(self, context: Context, resource: Resource[LoadBalancer]) -> Started:
        spec = resource.spec
        request = rpc.CreateNetworkLoadBalancerRequest(
            folder_id=context.session.folder_id,
            name=resource.name,
            labels=context.labels(resource),
            type=api.NetworkLoadBalancer.INTERNAL if spec.subnet else api.NetworkLoadBalancer.EXTERNAL,
            deletion_protection=spec.deletion_protection,
            listener_specs=_listeners(context, spec),
            attached_target_groups=[_targets(context, spec)],
        )
        operation = context.session.client(NetworkLoadBalancerServiceStub).Create(request)
        return started(
            operation, rpc.CreateNetworkLoadBalancerMetadata(), lambda metadata: metadata.network_load_balancer_id
        )

    def update(
        self,
        context: Context,
        existing: Existing[LoadBalancer],
        desired: Resource[LoadBalancer],
        fields: tuple[str, ...],
    ) -> Started:
        changed = sorted({MASK[name] for name in fields})
        request = rpc.UpdateNetworkLoadBalancerRequest(
            network_load_balancer_id=existing.id,
            update_mask=FieldMask(paths=changed),
            deletion_protection=desired.spec.deletion_protection and PROTECTION in changed,
            listener_specs=_listeners(context, desired.spec) if LISTENERS in changed else [],
            attached_target_groups=[_targets(context, desired.spec)] if TARGETS in changed else [],
        )
        return Started(existing.id, context.session.client(NetworkLoadBalancerServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing[LoadBalancer]) -> Operation:
        request = rpc.DeleteNetworkLoadBalancerRequest(network_load_balancer_id=existing.id)
        return session.client(NetworkLoadBalancerServiceStub).Delete(request)


def _listeners(context: Context, spec: LoadBalancer) -> list[rpc.ListenerSpec]:
    return [_listener(context, spec, listener) for listener in spec.listeners]


def _listener(context: Context, spec: LoadBalancer, listener: Listener) -> rpc.ListenerSpec:
    message = rpc.ListenerSpec(
        name=listener.name, port=listener.port, target_port=listener.target_port, protocol=api.Listener.TCP
    )
    place = message.internal_address_spec if spec.subnet else message.external_address_spec
    place.ip_version = api.IpVersion.IPV4
    if spec.subnet:
        message.internal_address_spec.subnet_id = context.id(Kind.SUBNET, spec.subnet)
    kind = Kind.INTERNAL_ADDRESS if spec.subnet else Kind.ADDRESS
    place.address = reserved_address(context, Ref(kind, spec.address))
    return message


def _targets(context: Context, spec: LoadBalancer) -> api.AttachedTargetGroup:
    """Wait for the target group, which the instance group creates soon after its own creation has begun."""
    check = build_health_check(HealthCheckMessage(name="health"), spec.check)
    return api.AttachedTargetGroup(target_group_id=_target_group(context, spec.group), health_checks=[check])


def _target_group(context: Context, group: str) -> str:
    request = groups_rpc.GetInstanceGroupRequest(instance_group_id=context.id(Kind.INSTANCE_GROUP, group))

    def probe() -> str | Pending:
        state = context.session.client(InstanceGroupServiceStub).Get(request).load_balancer_state
        return state.target_group_id or Pending(state.status_message or "no target group yet")

    return wait_for(
        f"instance group {group} to have a target group",
        probe,
        timeout=context.session.timeouts.target_group,
        interval=0.02,
        ceiling=2.0,
    )
