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


def test_what_does_not_change_keeps_its_flows() -> None:
    assert lost(network(A, B), network(A, B), BOTH) == frozenset()
    assert lost(network(B), network(A, B), BOTH) == frozenset()


def test_a_machine_without_power_loses_them() -> None:
    assert lost(network(A, B), network(A, B, plugged=False), BOTH) == {A}


def test_a_target_that_fell_silent_loses_them() -> None:
    assert lost(network(A, B), network(B), BOTH) == {A}


def test_a_target_that_says_that_it_is_not_well_goes_on_with_what_it_has() -> None:
    assert lost(network(A, B), network(B), frozenset()) == frozenset()


def test_a_target_that_was_taken_out_goes_on_with_what_it_has() -> None:
    assert lost(network(A, B), network(B), frozenset({B})) == frozenset()


def test_a_dead_machine_that_is_taken_out_leaves_its_heir_nothing() -> None:
    assert lost(network(A, B, plugged=False), network(B, machine="heir"), frozenset({B})) == {A}
    assert lost(network(A, B), network(A, B, machine="heir"), BOTH) == {A}


def test_a_dead_machine_that_is_taken_out_loses_what_was_sent_to_it_since() -> None:
    assert lost(network(A, B, plugged=False), network(B, plugged=False), frozenset({B})) == {A}
