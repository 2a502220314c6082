from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.loadbalancer.v1.health_check_pb2 import HealthCheck
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import AttachedTargetGroup, Listener, NetworkLoadBalancer
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target, TargetGroup
from yandex.cloud.vpc.v1.network_pb2 import Network as VpcNetwork
from yandex.cloud.vpc.v1.security_group_pb2 import CidrBlocks, PortRange, SecurityGroupRule
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup as VpcSecurityGroup
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet as VpcSubnet

from samovar.localcloud.network.model import Direction, Forward, Network, Rule, Transport
from samovar.localcloud.network.names import HEALTH_CHECK_RANGES
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.networks.model import INDEX
from samovar.localcloud.vpc.networks.network_mapping import _peers, _rule, network_value
from samovar.localcloud.vpc.security_groups.model import default_group

VPC = VpcNetwork(id="n")
INWARD = SecurityGroupRule.INGRESS


class Judge:
    """Sends to the first machine alone."""

    def serves(self, _balancer_id: str, target: Target) -> bool:
        return target.address == "10.30.0.1"

    def answers(self, target: Target) -> bool:
        return target.address == "10.30.0.1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    created = Store(tmp_path / "cloud.sqlite")
    created.put(VPC)
    created.note("n", INDEX, 1)
    created.put(VpcSubnet(id="s", network_id="n", zone_id="zone-a", v4_cidr_blocks=["10.30.0.0/24"]))
    created.note("s", INDEX, 1)
    yield created
    created.close()


def put_machine(store: Store, number: int, *groups: str) -> None:
    instance = Instance(id=f"m{number}", fqdn=f"host-{number}.internal", status=Instance.RUNNING)
    nic = instance.network_interfaces.add(subnet_id="s", mac_address="0e:00:00:00:00:01", security_group_ids=groups)
    nic.primary_v4_address.address = f"10.30.0.{number}"
    store.put(instance)


def put_group(store: Store, group_id: str, *rules: SecurityGroupRule) -> None:
    store.put(VpcSecurityGroup(id=group_id, network_id="n", rules=rules))


def value(store: Store) -> Network:
    return network_value(store, Judge(), VPC)


def rules(store: Store, rule: SecurityGroupRule) -> tuple[Rule, ...]:
    """Return the mapping of the rule in a group of m1, where m1 and m2 are of another group as well."""
    put_machine(store, 1, "own", "both")
    put_machine(store, 2, "both")
    put_group(store, "both")
    put_group(store, "own", rule)
    return next(created.rules for created in value(store).security_groups if created.rules)


def hosts(*numbers: int) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(f"10.30.0.{number}/32") for number in numbers)


def test_a_rules_ranges_ports_and_protocol(store: Store) -> None:
    rule = SecurityGroupRule(
        direction=SecurityGroupRule.EGRESS,
        protocol_number=6,
        ports=PortRange(from_port=80, to_port=90),
        cidr_blocks=CidrBlocks(v4_cidr_blocks=["10.0.0.0/8", "192.168.0.0/16"], v6_cidr_blocks=["::/0"]),
    )
    peers = (IPv4Network("10.0.0.0/8"), IPv4Network("192.168.0.0/16"))
    assert rules(store, rule) == (Rule(Direction.EGRESS, peers, 6, (80, 90)),)


def test_any_protocol_has_no_number(store: Store) -> None:
    rule = SecurityGroupRule(direction=INWARD, protocol_number=-1, security_group_id="both")
    assert rules(store, rule) == (Rule(Direction.INGRESS, hosts(1, 2)),)


def test_a_group_itself_is_its_members(store: Store) -> None:
    rule = SecurityGroupRule(direction=INWARD, protocol_number=17, predefined_target="self_security_group")
    assert rules(store, rule) == (Rule(Direction.INGRESS, hosts(1), 17),)


def test_health_checks_are_their_documented_ranges(store: Store) -> None:
    rule = SecurityGroupRule(direction=INWARD, protocol_number=6, predefined_target="loadbalancer_healthchecks")
    assert rules(store, rule) == (Rule(Direction.INGRESS, HEALTH_CHECK_RANGES, 6),)


@pytest.mark.parametrize("target", [{}, {"security_group_id": "empty"}])
def test_a_rule_without_peers_lets_nothing_through(store: Store, target: dict[str, str]) -> None:
    rule = SecurityGroupRule(direction=INWARD, protocol_number=6, **target)  # type: ignore[arg-type]  # one of strings
    assert rules(store, rule)[0].peers == ()


def test_an_interface_without_a_group_is_judged_by_the_networks_default_one(store: Store) -> None:
    vpc = VpcNetwork(id="n", default_security_group_id="default")
    rule = SecurityGroupRule(direction=INWARD, protocol_number=6, predefined_target="self_security_group")
    put_group(store, "default", rule)
    put_group(store, "own")
    put_machine(store, 1)
    put_machine(store, 2, "own")
    judged = {created.rules: created.members for created in network_value(store, Judge(), vpc).security_groups}
    assert judged[(Rule(Direction.INGRESS, hosts(1), 6),)] == (IPv4Address("10.30.0.1"),)
    assert judged[()] == (IPv4Address("10.30.0.2"),)


def test_the_default_group_of_a_new_network_lets_everything_through() -> None:
    created = default_group(VPC)
    world = (IPv4Network("0.0.0.0/0"),)
    assert {_rule(rule, _peers(rule, created.id, {})) for rule in created.rules} == {
        Rule(Direction.INGRESS, world),
        Rule(Direction.EGRESS, world),
    }


def test_only_groups_that_have_members_count(store: Store) -> None:
    put_group(store, "unused")
    put_machine(store, 1)
    assert value(store).security_groups == ()


def test_a_balancer_names_all_its_targets_the_ports_that_it_probes_and_those_that_it_sends_to(store: Store) -> None:
    put_machine(store, 1)
    targets = [Target(subnet_id="s", address=f"10.30.0.{number}") for number in (1, 2)]
    store.put(TargetGroup(id="t", targets=targets))
    check = HealthCheck(name="c", http_options=HealthCheck.HttpOptions(port=81, path="/"))
    check.interval.FromTimedelta(timedelta(seconds=2))
    listener = Listener(
        name="l", address="10.30.0.100", port=80, target_port=8080, protocol=Listener.TCP, subnet_id="s"
    )
    attached = AttachedTargetGroup(target_group_id="t", health_checks=[check])
    store.put(NetworkLoadBalancer(id="b", listeners=[listener], attached_target_groups=[attached]))
    one, two = IPv4Address("10.30.0.1"), IPv4Address("10.30.0.2")
    checked = ((one, 81), (two, 81))
    created = Forward(
        address=IPv4Address("10.30.0.100"),
        port=80,
        transport=Transport.TCP,
        target_port=8080,
        targets=(one,),
        registered=(one, two),
        checked=checked,
    )
    assert value(store).forwards == (created,)
    assert value(store).subnets[0].zone == "zone-a"
