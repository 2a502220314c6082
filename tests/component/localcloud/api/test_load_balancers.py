"""The listeners of a balancer: they have one address."""

from __future__ import annotations

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as rpc
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import Listener, NetworkLoadBalancer
from yandex.cloud.loadbalancer.v1.network_load_balancer_service_pb2_grpc import NetworkLoadBalancerServiceStub

from tests.support.calls import code_of
from tests.support.simulated import RunningCloud

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def _spec(name: str, port: int, address: str = "") -> rpc.ListenerSpec:
    external = rpc.ExternalAddressSpec(address=address)
    return rpc.ListenerSpec(name=name, port=port, protocol=Listener.TCP, external_address_spec=external)


def _request(cloud: RunningCloud, *listeners: rpc.ListenerSpec) -> rpc.CreateNetworkLoadBalancerRequest:
    return rpc.CreateNetworkLoadBalancerRequest(
        folder_id=cloud.endpoint.folder_id,
        region_id="ru-central1",
        type=NetworkLoadBalancer.EXTERNAL,
        listener_specs=listeners,
    )


def test_listeners_get_the_address_that_one_of_them_names_and_not_two(cloud: RunningCloud) -> None:
    stub = NetworkLoadBalancerServiceStub(cloud.channel())
    address = f"127.66.{cloud.endpoint.number}.200"
    operation = stub.Create(_request(cloud, _spec("http", 80), _spec("https", 443, address)))
    balancer = NetworkLoadBalancer.FromString(operation.response.value)
    assert [listener.address for listener in balancer.listeners] == [address, address]
    third, other = f"127.66.{cloud.endpoint.number}.202", f"127.66.{cloud.endpoint.number}.201"
    assert code_of(stub.Create, _request(cloud, _spec("http", 80, third), _spec("https", 443, other))) is INVALID
    add = rpc.AddNetworkLoadBalancerListenerRequest(
        network_load_balancer_id=balancer.id, listener_spec=_spec("more", 81, other)
    )
    assert code_of(stub.AddListener, add) is INVALID
    moved = rpc.UpdateNetworkLoadBalancerRequest(
        network_load_balancer_id=balancer.id,
        update_mask=FieldMask(paths=["listener_specs"]),
        listener_specs=[_spec("http", 80, other), _spec("https", 443)],
    )
    balancer = NetworkLoadBalancer.FromString(stub.Update(moved).response.value)
    assert [listener.address for listener in balancer.listeners] == [other, other]


def test_no_listener_of_an_external_balancer_has_an_internal_address(cloud: RunningCloud) -> None:
    internal = rpc.ListenerSpec(name="inner", port=81, protocol=Listener.TCP)
    internal.internal_address_spec.subnet_id = "e9b1"
    stub = NetworkLoadBalancerServiceStub(cloud.channel())
    assert code_of(stub.Create, _request(cloud, _spec("http", 80), internal)) is INVALID


def test_listeners_and_targets_have_no_port_above_32767(cloud: RunningCloud) -> None:
    stub = NetworkLoadBalancerServiceStub(cloud.channel())
    assert code_of(stub.Create, _request(cloud, _spec("high", 32768))) is INVALID
    target = _spec("http", 80)
    target.target_port = 32768
    assert code_of(stub.Create, _request(cloud, target)) is INVALID
