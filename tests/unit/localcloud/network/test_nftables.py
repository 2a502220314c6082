from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from samovar.localcloud.network.model import Forward, Network, Nic, Subnet, Transport
from samovar.localcloud.network.nftables import ruleset

SUBNET = Subnet("s1", 1, IPv4Network("10.30.0.0/24"))


def nic(number: int, public: IPv4Address | None = None) -> Nic:
    address = IPv4Address(f"10.30.0.{number}")
    return Nic(f"m{number}", "s1", f"0e:00:0a:1e:00:{number:02x}", address, f"host-{number}", public=public)


def forward(address: str, *targets: int, transport: Transport = Transport.TCP) -> Forward:
    to = tuple(IPv4Address(f"10.30.0.{n}") for n in targets)
    return Forward(IPv4Address(address), 80, transport, 8080, to, to)


def rules(network: Network, chain: str) -> list[str]:
    body = re.search(rf"chain {chain} {{\n(.*?)\n\t}}", ruleset(network), re.DOTALL)
    assert body
    return [line.strip() for line in body[1].splitlines()[1:]]


def test_connections_are_spread_over_the_targets_by_the_clients_address_and_port() -> None:
    network = Network("n", 1, (SUBNET,), forwards=(forward("127.66.200.5", 10, 11),))
    assert rules(network, "balance") == [
        (
            "ip daddr 127.66.200.5 tcp dport 80 dnat to jhash ip saddr . tcp sport mod 2"
            " map { 0 : 10.30.0.10, 1 : 10.30.0.11 } : 8080"
        )
    ]


def test_udp_is_spread_in_the_same_way() -> None:
    network = Network("n", 1, (SUBNET,), forwards=(forward("127.66.200.5", 10, transport=Transport.UDP),))
    assert "udp dport 80 dnat to jhash ip saddr . udp sport mod 1" in rules(network, "balance")[0]


def test_a_balancer_without_targets_drops() -> None:
    network = Network("n", 1, (SUBNET,), forwards=(forward("10.30.0.100"),))
    assert rules(network, "balance") == []
    assert "ip daddr { 10.30.0.100 } drop" in rules(network, "forwarded")


def test_a_target_cannot_reach_its_own_balancer() -> None:
    network = Network("n", 1, (SUBNET,), forwards=(forward("10.30.0.100", 10, 11),))
    assert rules(network, "own") == ["ip daddr 10.30.0.100 tcp dport 80 ip saddr { 10.30.0.10, 10.30.0.11 } drop"]


def test_a_public_address_belongs_to_one_machine() -> None:
    network = Network("n", 1, (SUBNET,), nics=(nic(10, IPv4Address("127.66.200.9")),))
    assert rules(network, "balance") == ['iifname "pub0" ip daddr 127.66.200.9 dnat to 10.30.0.10']


def test_a_network_without_machines_drops_everything() -> None:
    assert 'iifname "br*" drop' in rules(Network("n", 1), "guard")


networks = st.builds(
    Network,
    id=st.just("n"),
    index=st.just(1),
    subnets=st.just((SUBNET,)),
    nics=st.lists(st.integers(3, 254), unique=True).map(lambda numbers: tuple(map(nic, numbers))),
    forwards=st.lists(
        st.builds(
            lambda last, targets, transport: forward(f"127.66.200.{last}", *targets, transport=transport),
            st.integers(1, 254),
            st.lists(st.integers(3, 254), max_size=5, unique=True),
            st.sampled_from(Transport),
        ),
        max_size=5,
        unique_by=lambda created: (created.address, created.transport),
    ).map(tuple),
)


@given(networks)
def test_each_listener_has_one_dnat_rule_and_each_address_a_drop(network: Network) -> None:
    served = [forward for forward in network.forwards if forward.targets]
    assert len(rules(network, "balance")) == len(served)
    assert all(str(forward.address) in ruleset(network) for forward in network.forwards)
    assert all(f"{nic.mac} . {nic.address}" in ruleset(network) for nic in network.nics)


@given(networks)
def test_every_line_and_brace_is_closed(network: Network) -> None:
    text = ruleset(network)
    assert text.count("{") == text.count("}")
    assert all(line.rstrip() == line for line in text.splitlines())
