"""Security groups, gateways, route tables, addresses: what is checked, and what keeps a thing from being deleted."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from yandex.cloud.compute.v1.instance_pb2 import IPV4, Instance
from yandex.cloud.compute.v1.instance_service_pb2 import (
    AddInstanceOneToOneNatRequest,
    OneToOneNatSpec,
    PrimaryAddressSpec,
    StopInstanceRequest,
    UpdateInstanceNetworkInterfaceRequest,
)
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import Listener, NetworkLoadBalancer
from yandex.cloud.loadbalancer.v1.network_load_balancer_service_pb2 import CreateNetworkLoadBalancerRequest
from yandex.cloud.loadbalancer.v1.network_load_balancer_service_pb2_grpc import NetworkLoadBalancerServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import address_service_pb2 as addresses
from yandex.cloud.vpc.v1 import gateway_service_pb2 as gateways
from yandex.cloud.vpc.v1 import network_service_pb2 as networks
from yandex.cloud.vpc.v1 import route_table_service_pb2 as tables
from yandex.cloud.vpc.v1 import security_group_service_pb2 as groups
from yandex.cloud.vpc.v1 import subnet_service_pb2 as subnets
from yandex.cloud.vpc.v1.address_pb2 import Address
from yandex.cloud.vpc.v1.address_service_pb2_grpc import AddressServiceStub
from yandex.cloud.vpc.v1.gateway_pb2 import Gateway
from yandex.cloud.vpc.v1.gateway_service_pb2_grpc import GatewayServiceStub
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable, StaticRoute
from yandex.cloud.vpc.v1.route_table_service_pb2_grpc import RouteTableServiceStub
from yandex.cloud.vpc.v1.security_group_pb2 import CidrBlocks, PortRange, SecurityGroup, SecurityGroupRule
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from tests.support.calls import code_of
from tests.support.machines import machine, reached
from tests.support.simulated import RunningCloud

M = TypeVar("M", bound=Message)
ZONE = "ru-central1-a"
INGRESS, EGRESS = SecurityGroupRule.INGRESS, SecurityGroupRule.EGRESS
EVERYWHERE = CidrBlocks(v4_cidr_blocks=["0.0.0.0/0"])
INVALID, PRECONDITION = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
HTTP = groups.SecurityGroupRuleSpec(
    direction=INGRESS, protocol_name="tcp", ports=PortRange(from_port=80, to_port=80), cidr_blocks=EVERYWHERE
)


def _created(kind: type[M], operation: Operation) -> M:
    return kind.FromString(operation.response.value)


class Vpc:
    """The stubs, and the shortest way to one of each thing."""

    def __init__(self, cloud: RunningCloud) -> None:
        channel = cloud.channel()
        self.folder_id = cloud.endpoint.folder_id
        self.networks = NetworkServiceStub(channel)
        self.subnets = SubnetServiceStub(channel)
        self.groups = SecurityGroupServiceStub(channel)
        self.gateways = GatewayServiceStub(channel)
        self.tables = RouteTableServiceStub(channel)
        self.addresses = AddressServiceStub(channel)

    def network(self) -> Network:
        return _created(Network, self.networks.Create(networks.CreateNetworkRequest(folder_id=self.folder_id)))

    def group(self, network: Network, *rules: groups.SecurityGroupRuleSpec) -> SecurityGroup:
        request = groups.CreateSecurityGroupRequest(folder_id=self.folder_id, network_id=network.id, rule_specs=rules)
        return _created(SecurityGroup, self.groups.Create(request))

    def gateway(self) -> Gateway:
        request = gateways.CreateGatewayRequest(
            folder_id=self.folder_id, shared_egress_gateway_spec=gateways.SharedEgressGatewaySpec()
        )
        return _created(Gateway, self.gateways.Create(request))

    def table(self, network: Network, *routes: StaticRoute) -> RouteTable:
        request = tables.CreateRouteTableRequest(folder_id=self.folder_id, network_id=network.id, static_routes=routes)
        return _created(RouteTable, self.tables.Create(request))

    def subnet(self, network: Network, table_id: str = "", cidr: str = "10.1.0.0/24") -> Subnet:
        request = subnets.CreateSubnetRequest(
            folder_id=self.folder_id,
            network_id=network.id,
            zone_id=ZONE,
            v4_cidr_blocks=[cidr],
            route_table_id=table_id,
        )
        return _created(Subnet, self.subnets.Create(request))


@pytest.fixture
def vpc(cloud: RunningCloud) -> Vpc:
    return Vpc(cloud)


def test_the_default_group_of_a_network_is_created_and_deleted_with_it(vpc: Vpc) -> None:
    network = vpc.network()
    group = vpc.groups.Get(groups.GetSecurityGroupRequest(security_group_id=network.default_security_group_id))
    assert (group.default_for_network, group.network_id, group.status) == (True, network.id, SecurityGroup.ACTIVE)
    assert [(rule.direction, rule.protocol_name) for rule in group.rules] == [(INGRESS, "ANY"), (EGRESS, "ANY")]
    assert [rule.cidr_blocks for rule in group.rules] == [EVERYWHERE, EVERYWHERE]
    delete = groups.DeleteSecurityGroupRequest(security_group_id=group.id)
    assert code_of(vpc.groups.Delete, delete) is PRECONDITION
    vpc.networks.Delete(networks.DeleteNetworkRequest(network_id=network.id))
    assert not vpc.groups.List(groups.ListSecurityGroupsRequest(folder_id=vpc.folder_id)).security_groups


def test_rules_have_the_requested_values_and_the_protocol_by_name_and_number(vpc: Vpc) -> None:
    by_number = groups.SecurityGroupRuleSpec(direction=EGRESS, protocol_number=17, cidr_blocks=EVERYWHERE)
    anything = groups.SecurityGroupRuleSpec(direction=EGRESS, predefined_target="self_security_group")
    group = vpc.group(vpc.network(), HTTP, by_number, anything)
    assert [(rule.protocol_name, rule.protocol_number) for rule in group.rules] == [
        ("TCP", 6),
        ("UDP", 17),
        ("ANY", -1),
    ]
    targets = [rule.WhichOneof("target") for rule in group.rules]
    assert targets == ["cidr_blocks", "cidr_blocks", "predefined_target"]
    assert group.rules[0].ports == HTTP.ports
    assert not group.rules[1].HasField("ports")
    assert len({rule.id for rule in group.rules}) == 3


def test_rules_are_added_deleted_described_and_replaced(vpc: Vpc) -> None:
    group = vpc.group(vpc.network(), HTTP)
    first = group.rules[0].id
    request = groups.UpdateSecurityGroupRulesRequest(
        security_group_id=group.id, deletion_rule_ids=[first], addition_rule_specs=[HTTP, HTTP]
    )
    operation = vpc.groups.UpdateRules(request)
    added = groups.UpdateSecurityGroupMetadata.FromString(operation.metadata.value).added_rule_ids
    assert [rule.id for rule in _created(SecurityGroup, operation).rules] == list(added)
    assert code_of(vpc.groups.UpdateRules, request) is grpc.StatusCode.NOT_FOUND
    described = groups.UpdateSecurityGroupRuleRequest(
        security_group_id=group.id,
        rule_id=added[0],
        update_mask=FieldMask(paths=["description"]),
        description="http",
    )
    rule = _created(SecurityGroupRule, vpc.groups.UpdateRule(described))
    assert (rule.description, rule.ports) == ("http", HTTP.ports)
    named = groups.UpdateSecurityGroupRequest(
        security_group_id=group.id, update_mask=FieldMask(paths=["name"]), name="web"
    )
    assert len(_created(SecurityGroup, vpc.groups.Update(named)).rules) == 2
    replaced = groups.UpdateSecurityGroupRequest(
        security_group_id=group.id, update_mask=FieldMask(paths=["rule_specs"]), rule_specs=[HTTP]
    )
    assert len(_created(SecurityGroup, vpc.groups.Update(replaced)).rules) == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"cidr_blocks": CidrBlocks(v4_cidr_blocks=["10.0.0.1/8"])},
        {"cidr_blocks": CidrBlocks(v4_cidr_blocks=["anywhere"])},
        {"cidr_blocks": CidrBlocks()},
        {"cidr_blocks": EVERYWHERE, "protocol_name": "CARRIER_PIGEON"},
        {"cidr_blocks": EVERYWHERE, "protocol_name": "ICMP", "ports": PortRange(from_port=1, to_port=2)},
        {"cidr_blocks": EVERYWHERE, "protocol_name": "TCP", "ports": PortRange(from_port=2, to_port=1)},
        {"cidr_blocks": EVERYWHERE, "protocol_name": "TCP", "ports": PortRange(from_port=1, to_port=65536)},
        {"predefined_target": "everyone"},
        {},
    ],
)
def test_an_invalid_rule_is_refused(vpc: Vpc, broken: dict[str, Any]) -> None:
    rule = groups.SecurityGroupRuleSpec(direction=INGRESS, **broken)
    assert code_of(vpc.group, vpc.network(), rule) is INVALID


def test_a_group_that_a_rule_refers_to_cannot_be_deleted(vpc: Vpc) -> None:
    network = vpc.network()
    target = vpc.group(network)
    rule = groups.SecurityGroupRuleSpec(direction=INGRESS, security_group_id=target.id)
    referring = vpc.group(network, rule)
    delete = groups.DeleteSecurityGroupRequest(security_group_id=target.id)
    assert code_of(vpc.groups.Delete, delete) is PRECONDITION
    assert code_of(vpc.group, vpc.network(), rule) is INVALID
    assert code_of(vpc.networks.Delete, networks.DeleteNetworkRequest(network_id=network.id)) is PRECONDITION
    vpc.groups.Delete(groups.DeleteSecurityGroupRequest(security_group_id=referring.id))
    vpc.groups.Delete(delete)


def test_a_group_that_a_machine_uses_must_be_of_its_network_and_cannot_be_deleted(
    cloud: RunningCloud, vpc: Vpc
) -> None:
    network = vpc.network()
    subnet, group = vpc.subnet(network), vpc.group(network)
    stranger = vpc.group(vpc.network())
    assert code_of(machine, cloud, subnet.id, security_group_ids=[stranger.id]) is INVALID
    assert code_of(machine, cloud, subnet.id, security_group_ids=["enpnothere"]) is grpc.StatusCode.NOT_FOUND
    machine(cloud, subnet.id, security_group_ids=[group.id])
    delete = groups.DeleteSecurityGroupRequest(security_group_id=group.id)
    assert code_of(vpc.groups.Delete, delete) is PRECONDITION


def test_a_machines_groups_change_while_it_runs(cloud: RunningCloud, vpc: Vpc) -> None:
    network = vpc.network()
    instance, group = machine(cloud, vpc.subnet(network).id), vpc.group(network)
    stub = InstanceServiceStub(cloud.channel())
    request = UpdateInstanceNetworkInterfaceRequest(
        instance_id=instance.id,
        network_interface_index="0",
        update_mask=FieldMask(paths=["security_group_ids"]),
        security_group_ids=[group.id],
    )
    changed = _created(Instance, stub.UpdateNetworkInterface(request))
    assert list(changed.network_interfaces[0].security_group_ids) == [group.id]
    request.security_group_ids[0] = vpc.group(vpc.network()).id
    assert code_of(stub.UpdateNetworkInterface, request) is INVALID


def test_a_stopped_machine_moves_to_another_subnet_and_a_running_one_does_not(cloud: RunningCloud, vpc: Vpc) -> None:
    network = vpc.network()
    instance, other = machine(cloud, vpc.subnet(network).id), vpc.subnet(network, cidr="10.7.0.0/24")
    stub = InstanceServiceStub(cloud.channel())
    request = UpdateInstanceNetworkInterfaceRequest(
        instance_id=instance.id,
        network_interface_index="0",
        update_mask=FieldMask(paths=["subnet_id"]),
        subnet_id=other.id,
    )
    assert code_of(stub.UpdateNetworkInterface, request) is PRECONDITION
    stub.Stop(StopInstanceRequest(instance_id=instance.id))
    reached(cloud, instance.id, Instance.STOPPED)
    moved = _created(Instance, stub.UpdateNetworkInterface(request)).network_interfaces[0]
    assert (moved.subnet_id, moved.primary_v4_address.address) == (other.id, "10.7.0.3")


def test_an_interface_gets_another_address_and_keeps_its_public_one(cloud: RunningCloud, vpc: Vpc) -> None:
    instance = machine(cloud, vpc.subnet(vpc.network()).id)
    stub = InstanceServiceStub(cloud.channel())
    stub.AddOneToOneNat(AddInstanceOneToOneNatRequest(instance_id=instance.id))
    stub.Stop(StopInstanceRequest(instance_id=instance.id))
    nat = reached(cloud, instance.id, Instance.STOPPED).network_interfaces[0].primary_v4_address.one_to_one_nat
    assert nat.ip_version == IPV4
    for named in (nat.address, ""):
        spec = PrimaryAddressSpec(address="10.1.0.77", one_to_one_nat_spec=OneToOneNatSpec(address=named))
        request = UpdateInstanceNetworkInterfaceRequest(
            instance_id=instance.id,
            network_interface_index="0",
            update_mask=FieldMask(paths=["primary_v4_address_spec"]),
            primary_v4_address_spec=spec,
        )
        changed = _created(Instance, stub.UpdateNetworkInterface(request)).network_interfaces[0].primary_v4_address
        assert (changed.address, changed.one_to_one_nat) == ("10.1.0.77", nat)


def test_a_resource_of_an_unknown_folder_or_zone_is_refused(vpc: Vpc) -> None:
    elsewhere = networks.CreateNetworkRequest(folder_id="b1g00000000000000000")
    assert code_of(vpc.networks.Create, elsewhere) is grpc.StatusCode.NOT_FOUND
    request = subnets.CreateSubnetRequest(
        folder_id=vpc.folder_id, network_id=vpc.network().id, zone_id="ru-central1-z", v4_cidr_blocks=["10.9.0.0/24"]
    )
    assert code_of(vpc.subnets.Create, request) is grpc.StatusCode.NOT_FOUND
    spec = addresses.ExternalIpv4AddressSpec(zone_id="ru-central1-z")
    address = addresses.CreateAddressRequest(folder_id=vpc.folder_id, external_ipv4_address_spec=spec)
    assert code_of(vpc.addresses.Create, address) is grpc.StatusCode.NOT_FOUND


def test_the_range_of_a_subnet_changes_only_while_it_is_empty(cloud: RunningCloud, vpc: Vpc) -> None:
    subnet = vpc.subnet(vpc.network())
    request = subnets.UpdateSubnetRequest(
        subnet_id=subnet.id, update_mask=FieldMask(paths=["v4_cidr_blocks"]), v4_cidr_blocks=["10.8.0.0/24"]
    )
    assert list(_created(Subnet, vpc.subnets.Update(request)).v4_cidr_blocks) == ["10.8.0.0/24"]
    machine(cloud, subnet.id)
    request.v4_cidr_blocks[0] = "10.9.0.0/24"
    assert code_of(vpc.subnets.Update, request) is PRECONDITION


def test_a_subnet_has_several_ranges_and_gives_back_one_that_is_empty(cloud: RunningCloud, vpc: Vpc) -> None:
    subnet = vpc.subnet(vpc.network())
    first = subnet.v4_cidr_blocks[0]
    add = subnets.AddSubnetCidrBlocksRequest(subnet_id=subnet.id, v4_cidr_blocks=["10.8.0.0/28"])
    assert list(_created(Subnet, vpc.subnets.AddCidrBlocks(add)).v4_cidr_blocks) == [first, "10.8.0.0/28"]
    assert code_of(vpc.subnets.AddCidrBlocks, add) is PRECONDITION
    machine(cloud, subnet.id)
    remove = subnets.RemoveSubnetCidrBlocksRequest(subnet_id=subnet.id, v4_cidr_blocks=[first])
    assert code_of(vpc.subnets.RemoveCidrBlocks, remove) is PRECONDITION
    remove.v4_cidr_blocks[0] = "10.8.0.0/28"
    assert list(_created(Subnet, vpc.subnets.RemoveCidrBlocks(remove)).v4_cidr_blocks) == [first]
    assert code_of(vpc.subnets.RemoveCidrBlocks, remove) is INVALID


def test_a_gateway_is_deleted_after_what_uses_it(vpc: Vpc) -> None:
    network, gateway = vpc.network(), vpc.gateway()
    assert gateway.WhichOneof("gateway") == "shared_egress_gateway"
    table = vpc.table(network, StaticRoute(destination_prefix="0.0.0.0/0", gateway_id=gateway.id))
    subnet = vpc.subnet(network, table.id)
    listed = vpc.networks.ListRouteTables(networks.ListNetworkRouteTablesRequest(network_id=network.id))
    assert list(listed.route_tables) == [table]
    delete_gateway = partial(vpc.gateways.Delete, gateways.DeleteGatewayRequest(gateway_id=gateway.id))
    delete_table = partial(vpc.tables.Delete, tables.DeleteRouteTableRequest(route_table_id=table.id))
    assert (code_of(delete_gateway), code_of(delete_table)) == (PRECONDITION, PRECONDITION)
    without = subnets.UpdateSubnetRequest(subnet_id=subnet.id, update_mask=FieldMask(paths=["route_table_id"]))
    vpc.subnets.Update(without)
    delete_table()
    delete_gateway()


@pytest.mark.parametrize(
    ("route", "code"),
    [
        (StaticRoute(destination_prefix="0.0.0.0/0", gateway_id="enpnothere"), grpc.StatusCode.NOT_FOUND),
        (StaticRoute(destination_prefix="0.0.0.0/0", next_hop_address="there"), INVALID),
        (StaticRoute(destination_prefix="0.0.0.0/0"), INVALID),
        (StaticRoute(destination_prefix="10.0.0.1/8", next_hop_address="10.1.0.3"), INVALID),
        (StaticRoute(destination_prefix="169.254.7.0/24", next_hop_address="10.1.0.3"), INVALID),
    ],
)
def test_a_route_to_nowhere_is_refused(vpc: Vpc, route: StaticRoute, code: grpc.StatusCode) -> None:
    assert code_of(vpc.table, vpc.network(), route) is code


def test_a_gateway_takes_the_default_route_alone(vpc: Vpc) -> None:
    route = StaticRoute(destination_prefix="203.0.113.0/24", gateway_id=vpc.gateway().id)
    assert code_of(vpc.table, vpc.network(), route) is INVALID


def test_no_route_leads_to_a_listener_of_a_balancer(cloud: RunningCloud, vpc: Vpc) -> None:
    network = vpc.network()
    request = CreateNetworkLoadBalancerRequest(folder_id=vpc.folder_id, type=NetworkLoadBalancer.INTERNAL)
    listener = request.listener_specs.add(name="http", port=80, protocol=Listener.TCP)
    listener.internal_address_spec.subnet_id = vpc.subnet(network).id
    balancer = _created(NetworkLoadBalancer, NetworkLoadBalancerServiceStub(cloud.channel()).Create(request))
    route = StaticRoute(destination_prefix="0.0.0.0/0", next_hop_address=balancer.listeners[0].address)
    assert code_of(vpc.table, network, route) is INVALID


def test_a_destination_has_one_route(vpc: Vpc) -> None:
    route = StaticRoute(destination_prefix="0.0.0.0/0", next_hop_address="10.1.0.3")
    assert code_of(vpc.table, vpc.network(), route, route) is INVALID


def test_a_subnets_table_is_of_its_network(vpc: Vpc) -> None:
    network, stranger = vpc.network(), vpc.table(vpc.network())
    assert code_of(vpc.subnet, network, stranger.id) is INVALID
    assert code_of(vpc.subnet, network, "enpnothere") is grpc.StatusCode.NOT_FOUND


def test_addresses_are_listed_by_value_and_by_subnet(vpc: Vpc) -> None:
    subnet = vpc.subnet(vpc.network())
    external = addresses.CreateAddressRequest(
        folder_id=vpc.folder_id, external_ipv4_address_spec=addresses.ExternalIpv4AddressSpec(zone_id=ZONE)
    )
    internal = addresses.CreateAddressRequest(
        folder_id=vpc.folder_id, internal_ipv4_address_spec=addresses.InternalIpv4AddressSpec(subnet_id=subnet.id)
    )
    public = _created(Address, vpc.addresses.Create(external))
    private = _created(Address, vpc.addresses.Create(internal))
    by_value = addresses.GetAddressByValueRequest(external_ipv4_address=public.external_ipv4_address.address)
    assert vpc.addresses.GetByValue(by_value) == public
    value = private.internal_ipv4_address.address
    inside = addresses.GetAddressByValueRequest(internal_ipv4_address=value, subnet_id=subnet.id)
    assert vpc.addresses.GetByValue(inside) == private
    listed = vpc.addresses.ListBySubnet(addresses.ListAddressesBySubnetRequest(subnet_id=subnet.id)).addresses
    assert list(listed) == [private]
    nothing = addresses.GetAddressByValueRequest(external_ipv4_address="127.66.0.254")
    assert code_of(vpc.addresses.GetByValue, nothing) is grpc.StatusCode.NOT_FOUND


def test_a_subnet_lists_the_users_of_its_addresses(cloud: RunningCloud, vpc: Vpc) -> None:
    subnet = vpc.subnet(vpc.network())
    instance = machine(cloud, subnet.id)
    request = subnets.ListUsedAddressesRequest(subnet_id=subnet.id)
    (used,) = vpc.subnets.ListUsedAddresses(request).addresses
    assert used.address == instance.network_interfaces[0].primary_v4_address.address
    referrer = used.references[0].referrer
    assert (referrer.type, referrer.id) == ("compute.instance", instance.id)
