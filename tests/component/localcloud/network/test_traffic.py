"""Traffic in networks on the real kernel: which machine reaches which, and what none reaches."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv4Network

import pytest

from samovar.core.process import run_async
from samovar.localcloud.network import namespaces
from samovar.localcloud.network.model import Direction, Forward, Network, Nic, Rule, SecurityGroup, Subnet, Transport
from samovar.localcloud.network.names import METADATA
from samovar.localcloud.network.nftables import ruleset
from tests.support.network_lab import (
    ANSWER_TIMEOUT,
    PORT,
    SILENCE,
    SUBNET,
    UNREACHABLE,
    NetworkLab,
    ask,
    ask_host,
    machine,
    network,
    silent,
)


async def test_networks_with_the_same_addresses_live_side_by_side(lab: NetworkLab) -> None:
    one = network(10, forwards=(lab.balancer(10),))
    twins = (replace(machine(10), machine_id="other"), replace(machine(11), machine_id="client"))
    other = replace(one, id="net-b", index=2, nics=twins, forwards=(lab.balancer(10, address=lab.public(6)),))
    await asyncio.gather(lab.fabric.apply(one), lab.fabric.apply(other))
    await lab.boot(*one.nics, *other.nics)
    assert ask_host(lab.public(5)).startswith("m10 ")
    assert ask_host(lab.public(6)).startswith("other ")
    assert ask(lab.inside("client"), IPv4Address("10.30.0.10"), PORT) == "other 10.30.0.11"


async def test_a_public_address_moves_to_another_network(lab: NetworkLab) -> None:
    one, other = network(10, forwards=(lab.balancer(10),)), network(id="net-b", index=2)
    moved = replace(other, nics=(replace(machine(10), machine_id="other"),), forwards=one.forwards)
    await lab.fabric.apply(one)
    await lab.fabric.apply(moved)
    await lab.boot(*moved.nics)
    await lab.fabric.apply(replace(one, forwards=()))
    assert ask_host(lab.public(5)).startswith("other ")


async def test_machines_of_two_subnets_reach_each_other_through_the_router_alone(lab: NetworkLab) -> None:
    second = Subnet("subnet-b", 2, IPv4Network("10.30.1.0/24"))
    far = Nic("far", second.id, "0e:00:0a:1e:01:0a", IPv4Address("10.30.1.10"), "far")
    net = replace(network(10, 11), subnets=(SUBNET, second), nics=(machine(10), machine(11), far))
    await lab.fabric.apply(net)
    await lab.boot(machine(10), machine(11))
    inside = ("nsenter", f"--net=/run/netns/{lab.fabric.netns_of('far')}", "ip", "-batch", "-")
    await run_async(inside, stdin="address add 10.30.1.10/24 dev eth0\nroute add default via 10.30.1.1\n")
    assert ask(lab.inside("far"), IPv4Address("10.30.0.10"), PORT) == "m10 10.30.1.10"
    assert ask(lab.inside("m11"), IPv4Address("10.30.0.10"), PORT) == "m10 10.30.0.11"


async def test_a_machine_answers_on_every_port_of_its_public_address(lab: NetworkLab) -> None:
    net = replace(network(), nics=(machine(10, public=lab.public(9)),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    assert ask_host(lab.public(9), PORT) == "m10 10.30.0.1"
    with pytest.raises(ConnectionRefusedError):
        ask_host(lab.public(9), PORT + 1)


@contextmanager
def listener(created: socket.socket, address: str) -> Iterator[int]:
    """Listen on a free port and answer nothing: to connect is enough."""
    with created:
        created.bind((address, 0))
        created.listen()
        yield created.getsockname()[1]


async def test_no_machine_reaches_a_loopback_service(lab: NetworkLab) -> None:
    net = network(10)
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    namespaces.write_sysctls({"ipv4/conf/eth0/route_localnet": "1"}, lab.fabric.netns_of("m10"))
    created = lab.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM)

    def reach(port: int, timeout: float) -> None:
        with lab.inside("m10") as client:
            client.settimeout(timeout)
            client.connect(("127.0.0.1", port))

    with listener(created, "127.0.0.1") as port:
        assert silent(lambda: reach(port, SILENCE))
        unguarded = ("nsenter", f"--net=/run/netns/samovar-{lab.number}-1", "nft", "flush chain ip samovar guard")
        await run_async(unguarded)
        reach(port, ANSWER_TIMEOUT)


async def test_a_machine_speaks_with_its_own_addresses_alone(lab: NetworkLab) -> None:
    net = network(10, 11)
    await lab.fabric.apply(net)
    await lab.boot(machine(10), machine(11))
    inside = ("nsenter", f"--net=/run/netns/{lab.fabric.netns_of('m10')}", "ip")
    await run_async((*inside, "address", "add", "10.30.0.11/32", "dev", "lo"))
    created = lab.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_DGRAM)
    with created, lab.inside("m10", socket.SOCK_DGRAM) as honest, lab.inside("m10", socket.SOCK_DGRAM) as liar:
        created.bind((str(METADATA), 0))
        created.settimeout(ANSWER_TIMEOUT)
        honest.sendto(b"honest", created.getsockname())
        assert created.recvfrom(10)[0] == b"honest"
        created.settimeout(SILENCE)
        liar.bind(("10.30.0.11", 0))
        liar.sendto(b"liar", created.getsockname())
        assert silent(lambda: created.recv(10))
    await run_async((*inside, "link", "set", "eth0", "address", "0e:00:0a:1e:00:0b"))
    assert silent(lambda: ask(lab.inside("m10"), machine(11).address, PORT, timeout=SILENCE))
    assert ask(lab.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM), machine(11).address, PORT)


async def test_unreachable_destinations_are_silent(lab: NetworkLab) -> None:
    net = network(10)
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    with listener(socket.socket(), "127.65.0.1") as port:
        created = lab.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM)
        created.settimeout(SILENCE)
        with created:
            assert silent(lambda: created.connect(("127.65.0.1", port)))

    def reach(address: str) -> None:
        with lab.inside("m10") as client:
            client.settimeout(UNREACHABLE)
            client.connect((address, 80))

    nowhere = ("198.51.100.1", "10.99.0.1", "10.30.0.50")
    waits = (asyncio.to_thread(silent, partial(reach, address)) for address in nowhere)
    assert await asyncio.gather(*waits) == [True, True, True]


def random_network(seed: int) -> Network:
    """Any number of subnets, machines, and listeners with any number of targets."""
    dice = random.Random(seed)  # noqa: S311 - the same networks each time
    subnets = tuple(Subnet(f"s{n}", n, IPv4Network(f"10.30.{n}.0/24")) for n in range(dice.randrange(4)))
    nics = tuple(
        replace(machine(number), subnet_id=subnet.id, address=subnet.cidr[number], machine_id=f"{subnet.id}-{number}")
        for subnet in subnets
        for number in dice.sample(range(3, 255), dice.randrange(5))
    )
    forwards = tuple(
        Forward(
            address=IPv4Address(f"127.66.200.{number}") if dice.random() < 0.5 else IPv4Address(f"10.30.0.{number}"),
            port=dice.randrange(1, 65536),
            transport=dice.choice(list(Transport)),
            target_port=dice.randrange(1, 65536),
            targets=(sent := tuple(nic.address for nic in nics if dice.random() < 0.5)),
            registered=sent or tuple(nic.address for nic in nics),
            checked=tuple((nic.address, dice.randrange(1, 65536)) for nic in nics if dice.random() < 0.5),
        )
        for number in dice.sample(range(1, 255), dice.randrange(6))
    )
    groups = tuple(
        SecurityGroup(
            members=tuple(nic.address for nic in nics if dice.random() < 0.7), rules=tuple(random_rules(dice))
        )
        for _ in range(dice.randrange(4))
    )
    return Network("net-a", 1, subnets, nics, forwards, groups)


def random_rules(dice: random.Random) -> Iterator[Rule]:
    """Ranges that overlap or are equal, the whole world and none at all."""
    for _ in range(dice.randrange(5)):
        ports = (dice.randrange(100), dice.randrange(100, 200))
        yield Rule(
            direction=dice.choice(list(Direction)),
            peers=tuple(
                IPv4Network((dice.choice((0x0A1E0000, 0x0A1E0007, 0)), bits), strict=False)
                for bits in dice.choices((0, 8, 24, 32), k=dice.randrange(4))
            ),
            protocol=dice.choice((None, 1, 6, 17, 51)),
            ports=dice.choice((None, ports)),
        )


async def test_nft_takes_every_ruleset() -> None:
    for seed in range(60):
        await run_async(("unshare", "--net", "nft", "-c", "-f", "-"), stdin=ruleset(random_network(seed)))
