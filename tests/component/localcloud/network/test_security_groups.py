"""Security groups on the real kernel. m10 is the server; m11 and m12 are clients."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from samovar.core.process import run_async
from samovar.localcloud.metadata.model import Token
from samovar.localcloud.metadata.server import MetadataServer
from samovar.localcloud.network.health_checks import HealthCheck, Target
from samovar.localcloud.network.model import Direction, Network, Nic, Rule, SecurityGroup, Subnet
from samovar.localcloud.network.names import HEALTH_CHECK_RANGES, METADATA
from samovar.localcloud.network.probes import probe
from samovar.localcloud.sockets.connections import BY_MACHINE
from tests.support.network_lab import (
    ANSWER_TIMEOUT,
    PORT,
    SILENCE,
    SUBNET,
    VIP,
    NetworkLab,
    ask,
    ask_again,
    ask_host,
    lease,
    machine,
    network,
    resolve,
    silent,
)

WORLD = (IPv4Network("0.0.0.0/0"),)
TCP, UDP = 6, 17
SERVER = machine(10).address
ALL_IN = Rule(Direction.INGRESS, WORLD)


def addresses(*numbers: int) -> tuple[IPv4Address, ...]:
    return tuple(machine(number).address for number in numbers)


def inward(*peers: IPv4Address | IPv4Network, port: int = PORT) -> Rule:
    return Rule(Direction.INGRESS, tuple(map(IPv4Network, peers)), TCP, (port, port))


def guarded(net: Network, *rules: Rule) -> Network:
    """The network whose server has these rules."""
    return replace(net, security_groups=(SecurityGroup(addresses(10), rules),))


def reaches(lab: NetworkLab, client: str, address: IPv4Address = SERVER, port: int = PORT) -> bool:
    return not silent(partial(ask, lab.inside(client), address, port, timeout=SILENCE))


async def test_a_rule_lets_its_range_to_its_port_alone(lab: NetworkLab) -> None:
    net = guarded(network(10, 11, 12), inward(*addresses(11)))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    assert reaches(lab, "m11")
    assert not reaches(lab, "m12")
    await lab.fabric.apply(guarded(net, inward(*addresses(11), port=PORT + 1)))
    assert not reaches(lab, "m11")
    with pytest.raises(ConnectionRefusedError):
        reaches(lab, "m11", port=PORT + 1)
    await lab.fabric.apply(guarded(net, ALL_IN))
    assert reaches(lab, "m12")


async def test_a_rule_lets_in_each_machine_of_a_range_and_no_others(lab: NetworkLab) -> None:
    office = Subnet("office", 2, IPv4Network("10.30.1.0/24"))
    far = Nic("far", office.id, "0e:00:0a:1e:01:0a", IPv4Address("10.30.1.10"), "far")
    net = replace(network(10, 11), subnets=(SUBNET, office), nics=(machine(10), machine(11), far))
    await lab.fabric.apply(guarded(net, inward(office.cidr)))
    await lab.boot(machine(10), machine(11))
    inside = ("nsenter", f"--net=/run/netns/{lab.fabric.netns_of('far')}", "ip", "-batch", "-")
    await run_async(inside, stdin="address add 10.30.1.10/24 dev eth0\nroute add default via 10.30.1.1\n")
    assert reaches(lab, "far")
    assert not reaches(lab, "m11")


async def test_answers_need_no_rule_and_open_flows_outlive_theirs(lab: NetworkLab) -> None:
    net = guarded(network(10, 11), inward(*addresses(11)))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    with lab.inside("m11") as kept:
        ask(kept, SERVER, PORT, close=False)
        await lab.fabric.apply(guarded(net))
        assert ask_again(kept).startswith("m10 ")
    assert not reaches(lab, "m11")


async def test_egress_follows_the_rules_of_a_machines_groups(lab: NetworkLab) -> None:
    net = network(10, 11)
    await lab.fabric.apply(guarded(net, ALL_IN))
    await lab.boot(*net.nics)
    assert reaches(lab, "m11")
    assert not reaches(lab, "m10", machine(11).address)
    second = SecurityGroup(addresses(10), (Rule(Direction.EGRESS, (IPv4Network("10.30.0.11/32"),), TCP, (1, PORT)),))
    await lab.fabric.apply(replace(net, security_groups=(SecurityGroup(addresses(10), ()), second)))
    assert reaches(lab, "m10", machine(11).address)


async def test_a_machine_without_any_rule_still_has_its_lease_names_and_metadata(lab: NetworkLab) -> None:
    net = guarded(network(10, 11))
    await lab.fabric.apply(net)
    assert (await lease(lab, machine(10)))["address"] == SERVER.packed
    await lab.boot(*net.nics)
    with lab.inside("m10", socket.SOCK_DGRAM) as client:
        assert resolve(client, "host-11.internal") == (0, ["10.30.0.11"])
    listening = lab.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM)
    with listening, lab.inside("m10") as client:
        listening.bind((str(METADATA), 80))
        listening.listen()
        client.settimeout(ANSWER_TIMEOUT)
        client.connect((str(METADATA), 80))


async def test_a_machine_that_holds_connections_to_the_metadata_service_keeps_no_other_from_it(lab: NetworkLab) -> None:
    net = network(10, 11)
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    listening = lab.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM)
    listening.bind((str(METADATA), 80))
    server = MetadataServer(lambda *_: None, _no_token)
    await server.serve(net.id, listening)
    try:
        with ExitStack() as held:
            for _ in range(20 * BY_MACHINE):
                client = held.enter_context(lab.inside("m10"))
                client.settimeout(ANSWER_TIMEOUT)
                with suppress(ConnectionError):  # it is refused beyond its share
                    await asyncio.to_thread(client.connect, (str(METADATA), 80))
            assert _descriptors() < 22 * BY_MACHINE + 100
            with lab.inside("m11") as other:
                other.settimeout(ANSWER_TIMEOUT)
                await asyncio.to_thread(other.connect, (str(METADATA), 80))
                other.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await asyncio.to_thread(other.recv, 100)).startswith(b"HTTP/1.1 404")
    finally:
        await server.close()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _no_token(_: object) -> Token:
    raise AssertionError


async def test_host_clients_match_any_address_only(lab: NetworkLab) -> None:
    net = replace(network(10), forwards=(lab.balancer(10),))
    await lab.fabric.apply(guarded(net, inward(IPv4Network("10.0.0.0/8"))))
    await lab.boot(*net.nics)
    assert silent(lambda: ask_host(lab.public(5), timeout=SILENCE))
    await lab.fabric.apply(guarded(net, inward(*WORLD)))
    assert ask_host(lab.public(5)).startswith("m10 ")


async def test_a_target_judges_clients_of_an_internal_balancer_by_their_own_address(lab: NetworkLab) -> None:
    net = replace(network(10, 11, 12), forwards=(lab.balancer(10, address=VIP),))
    await lab.fabric.apply(guarded(net, inward(*addresses(11))))
    await lab.boot(*net.nics)
    assert reaches(lab, "m11", VIP, 80)
    assert not reaches(lab, "m12", VIP, 80)


async def test_a_machine_is_allowed_a_balancer_by_the_balancers_address(lab: NetworkLab) -> None:
    net = replace(network(10, 11), forwards=(lab.balancer(10, address=VIP),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    for allowed, expected in ((VIP, True), (SERVER, False)):
        rule = Rule(Direction.EGRESS, (IPv4Network(allowed),))
        await lab.fabric.apply(replace(net, security_groups=(SecurityGroup(addresses(11), (rule,)),)))
        assert reaches(lab, "m11", VIP, 80) is expected


async def test_health_checks_need_a_rule_of_their_own(lab: NetworkLab) -> None:
    net = network(10)
    check = HealthCheck("check", interval=2, timeout=SILENCE, unhealthy_threshold=2, healthy_threshold=2, port=PORT)
    target = Target(net.id, SERVER, check)
    await lab.fabric.apply(guarded(net, inward(IPv4Network("10.0.0.0/8"))))
    await lab.boot(*net.nics)
    assert not (await probe(lab.fabric.socket_in, target)).passed
    await lab.fabric.apply(guarded(net, inward(*HEALTH_CHECK_RANGES)))
    assert (await probe(lab.fabric.socket_in, target)).passed


async def test_rules_distinguish_protocols(lab: NetworkLab) -> None:
    def echoes() -> bool:
        with lab.inside("m11", socket.SOCK_DGRAM) as client:
            client.settimeout(SILENCE)
            client.connect((str(SERVER), PORT))
            client.send(b"?")
            return not silent(lambda: client.recv(100))

    net = network(10, 11)
    await lab.fabric.apply(guarded(net, Rule(Direction.INGRESS, WORLD, TCP)))
    await lab.boot(*net.nics)
    assert reaches(lab, "m11")
    assert not echoes()
    await lab.fabric.apply(guarded(net, Rule(Direction.INGRESS, WORLD, UDP)))
    assert not reaches(lab, "m11")
    assert echoes()
