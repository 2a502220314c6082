"""yandex.cloud.loadbalancer: network load balancers. Target states come from the controller's probes."""

from __future__ import annotations

from collections.abc import Callable

from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as rpc
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import (
    AttachedTargetGroup,
    Listener,
    NetworkLoadBalancer,
    TargetState,
)
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target, TargetGroup
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import invalid, not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.load_balancer.target_groups.rpc import REGION
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.resources.model import ResourceService, copy_field, fill, masked_paths, page, stamp
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.addresses.model import Addressing

DEFAULT_INTERVAL, DEFAULT_TIMEOUT, DEFAULT_THRESHOLD = 2, 1, 2
TargetStatus = Callable[[NetworkLoadBalancer, Target], "TargetState.Status.ValueType"]


class NetworkLoadBalancerService(ResourceService[NetworkLoadBalancer]):
    """A balancer has one address for all its listeners and sends to the healthy targets of its groups."""

    kind, noun, id_field = NetworkLoadBalancer, "NetworkLoadBalancer", "network_load_balancer_id"

    def __init__(
        self, store: Store, operations: Operations, addressing: Addressing, target_status: TargetStatus
    ) -> None:
        super().__init__(store, operations)
        self._addressing = addressing
        self._target_status = target_status

    def Get(self, request: rpc.GetNetworkLoadBalancerRequest, _: Caller) -> NetworkLoadBalancer:
        return self._seen(self.find(request))

    def List(self, request: rpc.ListNetworkLoadBalancersRequest, _: Caller) -> rpc.ListNetworkLoadBalancersResponse:
        found = [self._seen(balancer) for balancer in self.store.all(self.kind, scope=request.folder_id)]
        return page(request, rpc.ListNetworkLoadBalancersResponse(), "network_load_balancers", found)

    def Create(self, request: rpc.CreateNetworkLoadBalancerRequest, caller: Caller) -> Operation:
        self.admit(request.folder_id, request.name)
        balancer = NetworkLoadBalancer(
            id=new_id("load-balancer"),
            status=NetworkLoadBalancer.ACTIVE,
            session_affinity=NetworkLoadBalancer.CLIENT_IP_PORT_PROTO,
        )
        fill(balancer, request)
        del balancer.attached_target_groups[:]
        balancer.region_id = balancer.region_id or REGION
        balancer.type = balancer.type or NetworkLoadBalancer.EXTERNAL
        for attached in request.attached_target_groups:
            self._attach(balancer, attached)
        stamp(balancer)
        for spec in request.listener_specs:
            self._listen(balancer, spec)
        self.store.put(balancer)
        metadata = rpc.CreateNetworkLoadBalancerMetadata(network_load_balancer_id=balancer.id)
        return self.operations.done(caller, "Create network load balancer", metadata, self._seen(balancer))

    def Update(self, request: rpc.UpdateNetworkLoadBalancerRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        paths = masked_paths(request, request.update_mask, self.id_field)
        for path in paths - {"listener_specs", "attached_target_groups"}:
            copy_field(request, balancer, path)
        self.claim_name(balancer.folder_id, balancer.name, balancer.id)
        if "attached_target_groups" in paths:
            del balancer.attached_target_groups[:]
            for attached in request.attached_target_groups:
                self._attach(balancer, attached)
        if "listener_specs" in paths:
            self._relisten(balancer, list(request.listener_specs))
        self.store.put(balancer)
        metadata = rpc.UpdateNetworkLoadBalancerMetadata(network_load_balancer_id=balancer.id)
        return self.operations.done(caller, "Update network load balancer", metadata, self._seen(balancer))

    def Delete(self, request: rpc.DeleteNetworkLoadBalancerRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        if balancer.deletion_protection:
            raise precondition(f"NetworkLoadBalancer {balancer.id} is protected from deletion")
        self.store.delete(self.kind, balancer.id)
        metadata = rpc.DeleteNetworkLoadBalancerMetadata(network_load_balancer_id=balancer.id)
        return self.operations.gone(caller, "Delete network load balancer", metadata)

    def AttachTargetGroup(self, request: rpc.AttachNetworkLoadBalancerTargetGroupRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        self._attach(balancer, request.attached_target_group)
        self.store.put(balancer)
        metadata = rpc.AttachNetworkLoadBalancerTargetGroupMetadata(
            network_load_balancer_id=balancer.id, target_group_id=request.attached_target_group.target_group_id
        )
        return self.operations.done(caller, "Attach target group", metadata, self._seen(balancer))

    def DetachTargetGroup(self, request: rpc.DetachNetworkLoadBalancerTargetGroupRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        attached = _attached(balancer, request.target_group_id)
        balancer.attached_target_groups.remove(attached)
        self.store.put(balancer)
        metadata = rpc.DetachNetworkLoadBalancerTargetGroupMetadata(
            network_load_balancer_id=balancer.id, target_group_id=request.target_group_id
        )
        return self.operations.done(caller, "Detach target group", metadata, self._seen(balancer))

    def AddListener(self, request: rpc.AddNetworkLoadBalancerListenerRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        self._listen(balancer, request.listener_spec)
        self.store.put(balancer)
        metadata = rpc.AddNetworkLoadBalancerListenerMetadata(network_load_balancer_id=balancer.id)
        return self.operations.done(caller, "Add listener", metadata, self._seen(balancer))

    def RemoveListener(self, request: rpc.RemoveNetworkLoadBalancerListenerRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        found = [listener for listener in balancer.listeners if listener.name == request.listener_name]
        if not found:
            raise not_found("Listener", request.listener_name)
        balancer.listeners.remove(found[0])
        self.store.put(balancer)
        metadata = rpc.RemoveNetworkLoadBalancerListenerMetadata(network_load_balancer_id=balancer.id)
        return self.operations.done(caller, "Remove listener", metadata, self._seen(balancer))

    def GetTargetStates(self, request: rpc.GetTargetStatesRequest, _: Caller) -> rpc.GetTargetStatesResponse:
        balancer = self.find(request)
        _attached(balancer, request.target_group_id)
        group = self.store.must(TargetGroup, request.target_group_id)
        states = [
            TargetState(
                subnet_id=target.subnet_id,
                address=target.address,
                status=self._target_status(balancer, target),
            )
            for target in group.targets
        ]
        return rpc.GetTargetStatesResponse(target_states=states)

    def ListOperations(
        self, request: rpc.ListNetworkLoadBalancerOperationsRequest, _: Caller
    ) -> rpc.ListNetworkLoadBalancerOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, rpc.ListNetworkLoadBalancerOperationsResponse(), "operations", found)

    def _attach(self, balancer: NetworkLoadBalancer, attached: AttachedTargetGroup) -> None:
        """Health checks are kept with their defaults: a client crashes where interval or timeout is absent."""
        if self.store.get(TargetGroup, attached.target_group_id) is None:
            raise not_found("TargetGroup", attached.target_group_id)
        if any(other.target_group_id == attached.target_group_id for other in balancer.attached_target_groups):
            raise precondition(f"TargetGroup {attached.target_group_id} is attached already")
        kept = balancer.attached_target_groups.add()
        kept.CopyFrom(attached)
        for check in kept.health_checks:
            if not check.HasField("interval"):
                check.interval.seconds = DEFAULT_INTERVAL
            if not check.HasField("timeout"):
                check.timeout.seconds = DEFAULT_TIMEOUT
            check.unhealthy_threshold = check.unhealthy_threshold or DEFAULT_THRESHOLD
            check.healthy_threshold = check.healthy_threshold or DEFAULT_THRESHOLD
            if check.WhichOneof("options") == "http_options":
                check.http_options.path = check.http_options.path or "/"

    def _relisten(self, balancer: NetworkLoadBalancer, specs: list[rpc.ListenerSpec]) -> None:
        """Replaces the listeners; those that stay keep their address."""
        before = {listener.name: listener.address for listener in balancer.listeners}
        del balancer.listeners[:]
        self.store.put(balancer)
        for spec in specs:
            address = getattr(spec, spec.WhichOneof("address") or "external_address_spec")
            address.address = address.address or before.get(spec.name, "")
            self._listen(balancer, spec)

    def _listen(self, balancer: NetworkLoadBalancer, spec: rpc.ListenerSpec) -> None:
        if spec.protocol == Listener.UDP:
            raise precondition("UDP listeners are off in the local cloud, as they are by default in Yandex Cloud")
        if any(other.port == spec.port or other.name == spec.name for other in balancer.listeners):
            raise invalid(f"listener {spec.name}: its name or port {spec.port} is taken", "listener_specs")
        listener = balancer.listeners.add(
            name=spec.name, port=spec.port, protocol=spec.protocol, target_port=spec.target_port or spec.port
        )
        own = next((other.address for other in balancer.listeners if other.address), "")
        listener.address = own or self._address(balancer, spec, listener)
        if balancer.type == NetworkLoadBalancer.INTERNAL:
            listener.subnet_id = spec.internal_address_spec.subnet_id

    def _address(self, balancer: NetworkLoadBalancer, spec: rpc.ListenerSpec, listener: Listener) -> str:
        internal = spec.WhichOneof("address") == "internal_address_spec"
        if internal != (balancer.type == NetworkLoadBalancer.INTERNAL):
            raise invalid(f"listener {listener.name}: its address is not of the balancer's type", "listener_specs")
        if not internal:
            wanted = spec.external_address_spec.address
            return str(self._addressing.public(wanted, reserved=bool(wanted)))
        subnet = self.store.get(Subnet, spec.internal_address_spec.subnet_id)
        if subnet is None:
            raise not_found("Subnet", spec.internal_address_spec.subnet_id)
        wanted = spec.internal_address_spec.address
        return str(self._addressing.internal(subnet, wanted, reserved=bool(wanted)))

    def _seen(self, balancer: NetworkLoadBalancer) -> NetworkLoadBalancer:
        """INACTIVE is documented for a balancer without listeners or without targets."""
        groups = [self.store.get(TargetGroup, a.target_group_id) for a in balancer.attached_target_groups]
        works = balancer.listeners and any(group and group.targets for group in groups)
        balancer.status = NetworkLoadBalancer.ACTIVE if works else NetworkLoadBalancer.INACTIVE
        return balancer


def _attached(balancer: NetworkLoadBalancer, target_group_id: str) -> AttachedTargetGroup:
    for attached in balancer.attached_target_groups:
        if attached.target_group_id == target_group_id:
            return attached
    raise not_found("AttachedTargetGroup", target_group_id)
