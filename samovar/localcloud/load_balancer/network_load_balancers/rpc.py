"""The RPCs of yandex.cloud.loadbalancer for balancers. Target states come from the probes of the controller."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import Message
from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as rpc
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import NetworkLoadBalancer, TargetState
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target, TargetGroup
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.core.constants import REGION
from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.load_balancer.network_load_balancers.model import LoadBalancers, attachment
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import copy_masked, fill, masked_paths, stamp
from samovar.localcloud.resources.rpc import WithOperations, page
from samovar.localcloud.vpc.addresses.model import Ipam

TargetStatus = Callable[[NetworkLoadBalancer, Target], "TargetState.Status.ValueType"]


class NetworkLoadBalancerService(WithOperations[NetworkLoadBalancer]):
    """A balancer has one address for all its listeners and sends to the healthy targets of its groups."""

    def __init__(self, balancers: LoadBalancers, operations: Operations, target_status: TargetStatus) -> None:
        super().__init__(balancers, operations)
        self._balancers = balancers
        self._target_status = target_status

    def Get(self, request: rpc.GetNetworkLoadBalancerRequest, _: Caller) -> NetworkLoadBalancer:
        return self._balancers.with_status(self.find(request))

    def List(self, request: rpc.ListNetworkLoadBalancersRequest, _: Caller) -> Message:
        return page(request, map(self._balancers.with_status, self.resources.in_folder(request.folder_id)))

    def Create(self, request: rpc.CreateNetworkLoadBalancerRequest, caller: Caller) -> Operation:
        self.resources.admit(request.folder_id, request.name)
        balancer = NetworkLoadBalancer(
            id=self.resources.new_id(),
            status=NetworkLoadBalancer.ACTIVE,
            session_affinity=NetworkLoadBalancer.CLIENT_IP_PORT_PROTO,
        )
        fill(balancer, request)
        del balancer.attached_target_groups[:]
        balancer.region_id = balancer.region_id or REGION
        balancer.type = balancer.type or NetworkLoadBalancer.EXTERNAL
        for attached in request.attached_target_groups:
            self._balancers.attach(balancer, attached)
        stamp(balancer)
        self._balancers.add_listeners(balancer, list(request.listener_specs))
        metadata = rpc.CreateNetworkLoadBalancerMetadata(network_load_balancer_id=balancer.id)
        return self.stored(caller, "Create network load balancer", metadata, balancer)

    def Update(self, request: rpc.UpdateNetworkLoadBalancerRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        paths = masked_paths(request, request.update_mask, self.id_field)
        for path in paths - {"listener_specs", "attached_target_groups"}:
            copy_masked(request, balancer, path, request.update_mask)
        self.resources.claim_name(balancer.folder_id, balancer.name, balancer.id)
        if "attached_target_groups" in paths:
            del balancer.attached_target_groups[:]
            for attached in request.attached_target_groups:
                self._balancers.attach(balancer, attached)
        if "listener_specs" in paths:
            self._balancers.replace_listeners(balancer, list(request.listener_specs))
        metadata = rpc.UpdateNetworkLoadBalancerMetadata(network_load_balancer_id=balancer.id)
        return self.stored(caller, "Update network load balancer", metadata, balancer)

    def Delete(self, request: rpc.DeleteNetworkLoadBalancerRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        if balancer.deletion_protection:
            raise precondition(f"NetworkLoadBalancer {balancer.id} is protected from deletion")
        self.resources.delete(balancer.id)
        metadata = rpc.DeleteNetworkLoadBalancerMetadata(network_load_balancer_id=balancer.id)
        return self.operations.deleted(caller, "Delete network load balancer", metadata)

    def AttachTargetGroup(self, request: rpc.AttachNetworkLoadBalancerTargetGroupRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        self._balancers.attach(balancer, request.attached_target_group)
        metadata = rpc.AttachNetworkLoadBalancerTargetGroupMetadata(
            network_load_balancer_id=balancer.id, target_group_id=request.attached_target_group.target_group_id
        )
        return self.stored(caller, "Attach target group", metadata, balancer)

    def DetachTargetGroup(self, request: rpc.DetachNetworkLoadBalancerTargetGroupRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        attached = attachment(balancer, request.target_group_id)
        balancer.attached_target_groups.remove(attached)
        metadata = rpc.DetachNetworkLoadBalancerTargetGroupMetadata(
            network_load_balancer_id=balancer.id, target_group_id=request.target_group_id
        )
        return self.stored(caller, "Detach target group", metadata, balancer)

    def AddListener(self, request: rpc.AddNetworkLoadBalancerListenerRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        self._balancers.add_listener(balancer, request.listener_spec)
        metadata = rpc.AddNetworkLoadBalancerListenerMetadata(network_load_balancer_id=balancer.id)
        return self.stored(caller, "Add listener", metadata, balancer)

    def RemoveListener(self, request: rpc.RemoveNetworkLoadBalancerListenerRequest, caller: Caller) -> Operation:
        balancer = self.find(request)
        named = [listener for listener in balancer.listeners if listener.name == request.listener_name]
        if not named:
            raise not_found("Listener", request.listener_name)
        balancer.listeners.remove(named[0])
        metadata = rpc.RemoveNetworkLoadBalancerListenerMetadata(network_load_balancer_id=balancer.id)
        return self.stored(caller, "Remove listener", metadata, balancer)

    def stored(self, caller: Caller, description: str, metadata: Message, resource: NetworkLoadBalancer) -> Operation:
        self.resources.put(resource)
        return self.operations.done(caller, description, metadata, self._balancers.with_status(resource))

    def GetTargetStates(self, request: rpc.GetTargetStatesRequest, _: Caller) -> rpc.GetTargetStatesResponse:
        balancer = self.find(request)
        attachment(balancer, request.target_group_id)
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


SERVICES = (
    Service(
        rpc,
        "load-balancer",
        lambda context: NetworkLoadBalancerService(
            LoadBalancers(context.store, Ipam(context.store, context.number)), context.operations, context.target_status
        ),
        LoadBalancers,
    ),
)
