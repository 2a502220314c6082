"""Network load balancers on reserved addresses, each before the target group of one instance group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from google.protobuf.duration_pb2 import Duration
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
from samovar.deploy.resources.handler import Begun, Names, Work, begun
from samovar.deploy.resources.vpc import address_of
from samovar.deploy.specs import Balancer, Existing, HealthCheck, Kind, Listener, Ref, Resource

MASK = {
    "address": "listener_specs",
    "listeners": "listener_specs",
    "group": "attached_target_groups",
    "check": "attached_target_groups",
    "deletion_protection": "deletion_protection",
}
"""The API's field for each of ours that can change."""

TARGET_GROUP_TIMEOUT = 60.0


class Balancers:
    """Network load balancers, external and internal."""

    def list(self, session: Session) -> list[Any]:
        request = rpc.ListNetworkLoadBalancersRequest(folder_id=session.folder_id)
        return session.list(session.client(NetworkLoadBalancerServiceStub).List, request, "network_load_balancers")

    def aliases(self, _: Any) -> Mapping[str, str]:
        return {}

    def read(self, message: api.NetworkLoadBalancer, names: Names) -> Balancer:
        listeners = [Listener(found.name, found.port, found.target_port) for found in message.listeners]
        attached = next(iter(message.attached_target_groups), api.AttachedTargetGroup())
        return Balancer(
            address=", ".join(sorted({names.of(found.address) for found in message.listeners})),
            listeners=tuple(sorted(listeners, key=lambda listener: listener.name)),
            group=names.of(attached.target_group_id),
            check=_read_check(attached),
            subnet=", ".join(sorted({names.of(found.subnet_id) for found in message.listeners if found.subnet_id})),
            deletion_protection=message.deletion_protection,
        )

    def create(self, work: Work, resource: Resource) -> Begun:
        request = rpc.CreateNetworkLoadBalancerRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            labels=work.labels(resource),
            type=_type(cast("Balancer", resource.spec)),
            **parts(work, resource),
        )
        operation = work.session.client(NetworkLoadBalancerServiceStub).Create(request)
        return begun(operation, rpc.CreateNetworkLoadBalancerMetadata(), lambda made: made.network_load_balancer_id)

    def update(self, work: Work, existing: Existing, wanted: Resource, fields: tuple[str, ...]) -> Begun:
        changed = sorted({MASK[name] for name in fields})
        request = rpc.UpdateNetworkLoadBalancerRequest(
            network_load_balancer_id=existing.id,
            update_mask=FieldMask(paths=changed),
            **{name: value for name, value in parts(work, wanted).items() if name in changed},
        )
        return Begun(existing.id, work.session.client(NetworkLoadBalancerServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing) -> Operation:
        request = rpc.DeleteNetworkLoadBalancerRequest(network_load_balancer_id=existing.id)
        return session.client(NetworkLoadBalancerServiceStub).Delete(request)


def parts(work: Work, resource: Resource) -> dict[str, Any]:
    """The fields that Create and Update share, by the API's names."""
    spec = cast("Balancer", resource.spec)
    where = _where(work, spec)
    return {
        "deletion_protection": spec.deletion_protection,
        "listener_specs": [
            rpc.ListenerSpec(
                name=listener.name,
                port=listener.port,
                target_port=listener.target_port,
                protocol=api.Listener.TCP,
                **where,
            )
            for listener in spec.listeners
        ],
        "attached_target_groups": [
            api.AttachedTargetGroup(target_group_id=_target_group(work, spec.group), health_checks=[_check(spec.check)])
        ],
    }


def _type(spec: Balancer) -> api.NetworkLoadBalancer.Type.ValueType:
    return api.NetworkLoadBalancer.INTERNAL if spec.subnet else api.NetworkLoadBalancer.EXTERNAL


def _where(work: Work, spec: Balancer) -> dict[str, Any]:
    """The part of a listener that says at which reserved address it answers."""
    if not spec.subnet:
        address = address_of(work, Ref(Kind.ADDRESS, spec.address))
        return {"external_address_spec": rpc.ExternalAddressSpec(address=address, ip_version=api.IpVersion.IPV4)}
    internal = rpc.InternalAddressSpec(
        address=address_of(work, Ref(Kind.INTERNAL_ADDRESS, spec.address)),
        subnet_id=work.id(Kind.SUBNET, spec.subnet),
        ip_version=api.IpVersion.IPV4,
    )
    return {"internal_address_spec": internal}


def _target_group(work: Work, group: str) -> str:
    """The target group that the instance group keeps: there soon after the group's making began."""
    request = groups_rpc.GetInstanceGroupRequest(instance_group_id=work.id(Kind.GROUP, group))

    def probe() -> str | Pending:
        state = work.session.client(InstanceGroupServiceStub).Get(request).load_balancer_state
        return state.target_group_id or Pending(state.status_message or "no target group yet")

    return wait_for(f"instance group {group} has a target group", probe, timeout=TARGET_GROUP_TIMEOUT, interval=0.02)


def _check(check: HealthCheck) -> HealthCheckMessage:
    return HealthCheckMessage(
        name="health",
        interval=Duration(seconds=check.interval),
        timeout=Duration(seconds=check.timeout),
        unhealthy_threshold=check.unhealthy,
        healthy_threshold=check.healthy,
        http_options=HealthCheckMessage.HttpOptions(port=check.port, path=check.path),
    )


def _read_check(attached: api.AttachedTargetGroup) -> HealthCheck:
    check = attached.health_checks[0] if attached.health_checks else HealthCheckMessage()
    return HealthCheck(
        port=check.http_options.port,
        path=check.http_options.path,
        interval=check.interval.seconds,
        timeout=check.timeout.seconds,
        unhealthy=check.unhealthy_threshold,
        healthy=check.healthy_threshold,
    )
