"""Balancers on the real kernel."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from localcloud.network.health import Health, HealthCheck, Prober, Status, Target
from localcloud.network.names import HEALTH_CHECKS
from localcloud.network.spec import Transport
from tests.support.lab import (
    PATIENCE,
    PORT,
    SILENCE,
    VIP,
    Lab,
    ask,
    ask_again,
    ask_host,
    machine,
    network,
    silent,
)


async def test_the_host_reaches_targets_in_turn_at_a_public_address(lab: Lab) -> None:
    net = network(10, 11, forwards=(lab.balancer(10, 11),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    answers = Counter([ask_host(lab.public(5)) for _ in range(200)])
    assert answers.keys() == {"m10 10.30.0.1", "m11 10.30.0.1"}
    assert min(answers.values()) > 50


async def test_no_request_fails_while_the_balancer_changes_a_hundred_times(lab: Lab) -> None:
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


async def test_udp_goes_through_a_balancer(lab: Lab) -> None:
    net = network(10, 11, forwards=(lab.balancer(10, 11, transport=Transport.UDP),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    answers = set()
    for _ in range(40):
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.connect((str(lab.public(5)), 80))
            client.send(b"?")
            answers.add(client.recv(100).decode())
    assert answers == {"m10 10.30.0.1", "m11 10.30.0.1"}


async def test_an_internal_balancer_shows_targets_who_asks_and_fails_for_its_own_targets(lab: Lab) -> None:
    net = network(10, 11, 12, forwards=(lab.balancer(10, 11, address=VIP),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    answers = {ask(lab.inside("m12"), VIP) for _ in range(40)}
    assert answers == {"m10 10.30.0.12", "m11 10.30.0.12"}
    for target in ("m10", "m11"):
        assert all(silent(lambda: ask(lab.inside(target), VIP, timeout=SILENCE)) for _ in range(4))  # noqa: B023 - called at once


async def test_a_balancer_without_targets_and_a_port_that_it_does_not_have_are_silent(lab: Lab) -> None:
    net = network(10, forwards=(lab.balancer(), lab.balancer(address=VIP)))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    assert silent(lambda: ask_host(lab.public(5), timeout=SILENCE))
    assert silent(lambda: ask(lab.inside("m10"), VIP, timeout=SILENCE))
    await lab.fabric.apply(replace(net, forwards=(lab.balancer(10),)))
    assert silent(lambda: ask_host(lab.public(5), 81, timeout=SILENCE))
    assert ask_host(lab.public(5)) == "m10 10.30.0.1"


async def test_flows_keep_their_target_until_they_are_forgotten(lab: Lab) -> None:
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


async def test_health_checks_come_from_their_own_address_and_tell_a_machine_that_died(lab: Lab) -> None:
    net = network(10)
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    seen = ask_bound(lab.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM), str(HEALTH_CHECKS))
    assert seen == f"m10 {HEALTH_CHECKS}"
    told: asyncio.Queue[Health] = asyncio.Queue()
    prober = Prober[str](lab.fabric.socket_in, lambda _key, now: told.put_nowait(now))
    check = HealthCheck(
        "check", interval=0.1, timeout=1.0, unhealthy_threshold=2, healthy_threshold=2, port=PORT, path="/"
    )
    prober.set_targets({"m10": Target(net.id, machine(10).address, check)})
    async with asyncio.timeout(PATIENCE):
        assert (await told.get()).status is Status.HEALTHY
        await lab.fabric.unplug(net.id, "m10")
        assert (await told.get()).status is Status.UNHEALTHY
    await prober.close()


def ask_bound(connection: socket.socket, source: str) -> str:
    connection.bind((source, 0))
    return ask(connection, machine(10).address, PORT)
