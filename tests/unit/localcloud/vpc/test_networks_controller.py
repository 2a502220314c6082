from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from samovar.localcloud.network.model import Forward, Network, Nic, Subnet, Transport
from samovar.localcloud.vpc.networks.controller import lost

A, B = IPv4Address("10.30.0.10"), IPv4Address("10.30.0.11")
BOTH = frozenset({A, B})
SUBNET = Subnet("s1", 1, IPv4Network("10.30.0.0/24"))


def network(*targets: IPv4Address, machine: str = "m1", plugged: bool = True) -> Network:
    """Two machines, of which `machine` has the address A, and a balancer."""
    nics = (
        Nic(machine, "s1", "0e:00:00:00:00:01", A, "host-1", plugged),
        Nic("m2", "s1", "0e:00:00:00:00:02", B, "host-2"),
    )
    forward = Forward(IPv4Address("127.66.200.5"), 80, Transport.TCP, 8080, targets, targets)
    return Network("n", 1, (SUBNET,), nics, (forward,))


def test_an_unchanged_target_keeps_its_flows() -> None:
    assert lost(network(A, B), network(A, B), BOTH) == frozenset()
    assert lost(network(B), network(A, B), BOTH) == frozenset()


def test_a_machine_without_power_loses_its_flows() -> None:
    assert lost(network(A, B), network(A, B, plugged=False), BOTH) == {A}


def test_a_silent_target_loses_its_flows() -> None:
    assert lost(network(A, B), network(B), BOTH) == {A}


def test_an_unhealthy_target_that_answers_keeps_its_flows() -> None:
    assert lost(network(A, B), network(B), frozenset()) == frozenset()


def test_a_removed_target_keeps_its_flows() -> None:
    assert lost(network(A, B), network(B), frozenset({B})) == frozenset()


def test_flows_of_a_dead_machine_do_not_pass_to_its_successor() -> None:
    assert lost(network(A, B, plugged=False), network(B, machine="heir"), frozenset({B})) == {A}
    assert lost(network(A, B), network(A, B, machine="heir"), BOTH) == {A}


def test_a_removed_dead_machine_loses_later_flows() -> None:
    assert lost(network(A, B, plugged=False), network(B, plugged=False), frozenset({B})) == {A}
