"""Balancers on the real kernel."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from samovar.core.process import run_async
from samovar.localcloud.network.health_checks import Health, HealthCheck, Prober, Status, Target
from samovar.localcloud.network.model import Forward, Network, Nic, Subnet, Transport
from samovar.localcloud.network.names import HEALTH_CHECKS
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
    machine,
    network,
    silent,
)


async def test_the_host_reaches_targets_in_turn_at_a_public_address(lab: NetworkLab) -> None:
    net = network(10, 11, forwards=(lab.balancer(10, 11),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    answers = Counter([ask_host(lab.public(5)) for _ in range(200)])
    assert answers.keys() == {"m10 10.30.0.1", "m11 10.30.0.1"}
    assert min(answers.values()) > 50


async def test_an_address_whose_route_another_cloud_has_taken_is_no_longer_ours(lab: NetworkLab) -> None:
    net = network(10, forwards=(lab.balancer(10),))
    await lab.fabric.apply(net)
    assert await lab.fabric.routed() == {lab.public(5)}
    other = ("ip", "route", "replace", "table", "local", "local", f"{lab.public(5)}/32", "dev", "lo")
    await run_async(other)
    try:
        assert await lab.fabric.routed() == frozenset()
    finally:
        await run_async(("ip", "route", "del", "table", "local", f"{lab.public(5)}/32", "dev", "lo"))


async def test_no_request_fails_while_the_balancer_changes_a_hundred_times(lab: NetworkLab) -> None:
    sets = ((10, 11), (10,), (11,), (12, 11, 10))
    net = network(10, 11, 12, forwards=(lab.balancer(10),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    done, answers = threading.Event(), Counter[str]()

    def keep_asking() -> None:
        with socket.socket() as kept:
            first = ask(kept, lab.public(5), close=False)
            while not done.is_set():
                answers[ask_host(lab.public(5))] += 1
                assert ask_again(kept) == first

    asking = [asyncio.create_task(asyncio.to_thread(keep_asking)) for _ in range(2)]
    for change in range(100):
        await lab.fabric.apply(replace(net, forwards=(lab.balancer(*sets[change % len(sets)]),)))
    done.set()
    await asyncio.gather(*asking)
    assert answers.keys() == {"m10 10.30.0.1", "m11 10.30.0.1", "m12 10.30.0.1"}


async def test_udp_goes_through_a_balancer(lab: NetworkLab) -> None:
    net = network(10, 11, forwards=(lab.balancer(10, 11, transport=Transport.UDP),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    answers = set()
    for _ in range(40):
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(ANSWER_TIMEOUT)
            client.connect((str(lab.public(5)), 80))
            client.send(b"?")
            answers.add(client.recv(100).decode())
    assert answers == {"m10 10.30.0.1", "m11 10.30.0.1"}


async def test_an_internal_balancer_keeps_the_address_of_the_client_and_fails_for_its_own_targets(
    lab: NetworkLab,
) -> None:
    net = network(10, 11, 12, forwards=(lab.balancer(10, 11, address=VIP),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    answers = {ask(lab.inside("m12"), VIP) for _ in range(40)}
    assert answers == {"m10 10.30.0.12", "m11 10.30.0.12"}
    for target in ("m10", "m11"):
        assert all(silent(lambda: ask(lab.inside(target), VIP, timeout=SILENCE)) for _ in range(4))  # noqa: B023 - called at once


async def test_a_balancer_without_targets_and_a_port_that_it_does_not_have_are_silent(lab: NetworkLab) -> None:
    net = network(10, forwards=(lab.balancer(), lab.balancer(address=VIP)))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    assert silent(lambda: ask_host(lab.public(5), timeout=SILENCE))
    assert silent(lambda: ask(lab.inside("m10"), VIP, timeout=SILENCE))
    await lab.fabric.apply(replace(net, forwards=(lab.balancer(10),)))
    assert silent(lambda: ask_host(lab.public(5), 81, timeout=SILENCE))
    assert ask_host(lab.public(5)) == "m10 10.30.0.1"


async def test_flows_keep_their_target_until_they_are_forgotten(lab: NetworkLab) -> None:
    net = network(10, 11, forwards=(lab.balancer(10),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    with socket.socket() as kept, socket.socket(type=socket.SOCK_DGRAM):
        ask(kept, lab.public(5), close=False)
        await lab.fabric.apply(replace(net, forwards=(lab.balancer(11),)))
        assert ask_again(kept) == "m10 10.30.0.1"
        assert ask_host(lab.public(5)) == "m11 10.30.0.1"
        await lab.fabric.forget_flows(net.id, IPv4Address("10.30.0.10"))
        with pytest.raises(ConnectionResetError):
            ask_again(kept)
    await lab.fabric.forget_flows(net.id, IPv4Address("10.30.0.77"))


async def test_health_checks_come_from_their_own_address(lab: NetworkLab) -> None:
    net = network(10)
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    observed = ask_bound(lab.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM), str(HEALTH_CHECKS))
    assert observed == f"m10 {HEALTH_CHECKS}"
    output: asyncio.Queue[Health] = asyncio.Queue()
    prober = Prober[str](lab.fabric.probe, lambda _key, now: output.put_nowait(now))
    check = HealthCheck(
        "check", interval=0.1, timeout=1.0, unhealthy_threshold=2, healthy_threshold=2, port=PORT, path="/"
    )
    prober.set_targets({"m10": Target(net.id, machine(10).address, check)})
    async with asyncio.timeout(ANSWER_TIMEOUT):
        assert (await output.get()).status is Status.HEALTHY
        await lab.fabric.unplug(net.id, "m10")
        assert (await output.get()).status is Status.UNHEALTHY
    await prober.close()


def ask_bound(connection: socket.socket, source: str) -> str:
    connection.bind((source, 0))
    return ask(connection, machine(10).address, PORT)


FAR = Subnet("subnet-b", 2, IPv4Network("10.30.1.0/24"), "zone-b")


def far(number: int) -> Nic:
    address = FAR.cidr[number]
    return Nic(f"far{number}", FAR.id, f"0e:00:0a:1e:01:{number:02x}", address, f"far-{number}")


def two_zones(*forwards: Forward) -> Network:
    """m10 and m11 in one zone, far10 and far11 in another."""
    near = replace(SUBNET, zone="zone-a")
    return Network("net-a", 1, (near, FAR), (machine(10), machine(11), far(10), far(11)), forwards)


async def test_an_internal_balancer_sends_to_the_clients_zone_first_and_answers_in_every_subnet(
    lab: NetworkLab,
) -> None:
    def asked_by(client: str) -> set[str]:
        return {ask(lab.inside(client), VIP).split()[0] for _ in range(20)}

    both = Forward(VIP, 80, Transport.TCP, PORT, (machine(10).address, far(10).address), ())
    net = two_zones(both)
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    assert asked_by("m11") == {"m10"}
    assert asked_by("far11") == {"far10"}
    await lab.fabric.apply(two_zones(replace(both, targets=(far(10).address,))))
    assert asked_by("m11") == {"far10"}


async def test_an_external_balancer_sends_to_all_zones(lab: NetworkLab) -> None:
    net = two_zones(Forward(lab.public(5), 80, Transport.TCP, PORT, (machine(10).address, far(10).address), ()))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    assert {ask_host(lab.public(5)).split()[0] for _ in range(40)} == {"m10", "far10"}


async def test_ports_of_an_internal_balancers_targets_are_shut_to_all_others(lab: NetworkLab) -> None:
    def direct(client: str) -> str:
        return ask(lab.inside(client), machine(10).address, PORT, timeout=SILENCE)

    net = network(10, 11, 12, forwards=(lab.balancer(10, 11),))
    net = replace(net, nics=(replace(net.nics[0], public=lab.public(9)), *net.nics[1:]))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    assert direct("m12").startswith("m10 ")
    with lab.inside("m12") as kept:
        ask(kept, machine(10).address, PORT, close=False)
        inner = replace(lab.balancer(10, 11, address=VIP), checked=((machine(10).address, PORT + 1),))
        await lab.fabric.apply(replace(net, forwards=(*net.forwards, inner)))
        kept.settimeout(SILENCE)
        assert silent(lambda: ask_again(kept))
    assert silent(lambda: direct("m12"))
    assert silent(lambda: ask_host(lab.public(9), PORT, timeout=SILENCE))
    assert silent(lambda: ask(lab.inside("m12"), machine(10).address, PORT + 1, timeout=SILENCE))
    with pytest.raises(ConnectionRefusedError):
        ask(lab.inside("m12"), machine(10).address, PORT + 2)
    assert ask(lab.inside("m12"), VIP).endswith(" 10.30.0.12")
    assert ask_host(lab.public(5)).endswith(" 10.30.0.1")
    assert ask_bound(lab.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM), str(HEALTH_CHECKS))


async def test_two_balancers_share_their_targets(lab: NetworkLab) -> None:
    second = IPv4Address("10.30.0.101")
    net = network(10, 11, 12, forwards=(lab.balancer(10, 11, address=VIP), lab.balancer(10, 11, address=second)))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    for port in range(40000, 40010):
        with lab.inside("m12") as one, lab.inside("m12") as other:
            for connection, address in ((one, VIP), (other, second)):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                connection.bind(("10.30.0.12", port))
                assert ask(connection, address, close=False).endswith(" 10.30.0.12")


async def test_a_target_that_is_sent_nothing_cannot_reach_its_own_balancer_either(lab: NetworkLab) -> None:
    forward = replace(lab.balancer(10, 11, address=VIP), targets=(machine(11).address,))
    net = network(10, 11, 12, forwards=(forward,))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    assert ask(lab.inside("m12"), VIP).startswith("m11 ")
    assert silent(lambda: ask(lab.inside("m10"), VIP, timeout=SILENCE))
