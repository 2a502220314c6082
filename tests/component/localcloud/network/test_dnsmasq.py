"""A network's name server and its leases, on the real kernel."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from ipaddress import IPv4Network
from pwd import getpwnam
from unittest.mock import Mock

import pytest

from samovar.core.process import run_async
from samovar.localcloud.network import dnsmasq, server_process
from samovar.localcloud.network.dnsmasq import Files
from samovar.localcloud.network.kernel_fabric import KernelFabric
from samovar.localcloud.network.model import Nic, Subnet
from samovar.localcloud.network.names import gateway
from tests.support.network_lab import (
    SUBNET,
    NetworkLab,
    dhcp_packet,
    lease,
    machine,
    network,
    resolve,
    send_dhcp,
)
from tests.support.processes import privileges


async def test_machines_have_names_from_creation_to_deletion(lab: NetworkLab) -> None:
    no_such_name = 3
    net = network(10, 11)
    await lab.fabric.apply(net)
    await lab.boot(machine(10))
    with lab.inside("m10", socket.SOCK_DGRAM) as client:
        assert resolve(client, "host-11.internal") == (0, ["10.30.0.11"])
        assert resolve(client, "m11.auto.internal") == (0, ["10.30.0.11"])
        code, addresses = resolve(client, "service.internal")
        assert (code, sorted(addresses)) == (0, ["10.30.0.10", "10.30.0.11"])
        assert resolve(client, "host-11.internal", kind=28) == (0, [])
        assert resolve(client, "instance-data.internal") == (no_such_name, [])
        assert resolve(client, "example.com") == (no_such_name, [])
        await lab.fabric.apply(network(10, 12))
        assert resolve(client, "host-12.internal") == (0, ["10.30.0.12"])
        assert resolve(client, "host-11.internal") == (no_such_name, [])


async def test_a_machine_gets_its_address_by_dhcp_at_once(lab: NetworkLab) -> None:
    await lab.fabric.apply(network(10))
    received = await lease(lab, machine(10))
    assert received["address"] == bytes((10, 30, 0, 10))
    assert received[53] == bytes((5,))
    assert received[1] == bytes((255, 255, 255, 0))
    assert received[3] == bytes((10, 30, 0, 1))
    assert received[6] == bytes((10, 30, 0, 2))
    assert received[12] == b"host-10"
    assert received[15] == b"internal"


def decline(nic: Nic) -> bytes:
    """The DHCPDECLINE by which a machine says that somebody else has the address that it was given."""
    server = gateway(SUBNET).packed
    return dhcp_packet(nic.mac, bytes((53, 1, 4, 50, 4)) + nic.address.packed + bytes((54, 4)) + server)


async def set_mac(lab: NetworkLab, machine_id: str, mac: str) -> None:
    inside = ("nsenter", f"--net=/run/netns/{lab.fabric.netns_of(machine_id)}", "ip", "-batch", "-")
    await run_async(inside, stdin=f"link set eth0 address {mac}\nneigh flush all")


async def test_dhcp_is_answered_to_a_machine_for_itself_alone(lab: NetworkLab) -> None:
    """Neither in another's name nor from another's MAC: such a packet does not reach the server."""
    one, other = machine(10), machine(11)
    await lab.fabric.apply(network(10, 11))
    with lab.inside("m10", socket.SOCK_DGRAM) as client:
        send_dhcp(client, decline(other))
    await set_mac(lab, "m10", other.mac)
    with lab.inside("m10", socket.SOCK_DGRAM) as client:
        send_dhcp(client, decline(other))
    await set_mac(lab, "m10", one.mac)
    assert (await lease(lab, one))["address"] == one.address.packed
    assert "disabling DHCP static address" not in Files(lab.folder / "net-a").log.read_text()
    assert (await lease(lab, other))["address"] == other.address.packed


async def test_a_machine_that_declines_its_own_address_harms_no_other(lab: NetworkLab) -> None:
    one, other = machine(10), machine(11)
    await lab.fabric.apply(network(10, 11))
    with lab.inside("m10", socket.SOCK_DGRAM) as client:
        send_dhcp(client, decline(one))
    assert (await lease(lab, other))["address"] == other.address.packed
    assert "disabling DHCP static address 10.30.0.10" in Files(lab.folder / "net-a").log.read_text()


async def test_the_name_server_runs_as_a_user_of_its_own_and_still_reads_what_changes(lab: NetworkLab) -> None:
    (lab.folder / "net-a").mkdir(mode=0o700)
    await lab.fabric.apply(network(10))
    pid = dnsmasq.serving_pid(Files(lab.folder / "net-a"))
    assert pid
    running = privileges(pid)
    assert running.users == {getpwnam(server_process.DNSMASQ_USER).pw_uid}
    assert running.groups == {server_process.GROUP_ID}
    assert running.capabilities <= {"net_admin", "net_bind_service", "net_raw"}
    assert lab.folder.stat().st_mode & 0o077 == 0
    await lab.fabric.apply(network(10, 11))
    assert dnsmasq.serving_pid(Files(lab.folder / "net-a")) == pid
    assert (await lease(lab, machine(11)))["address"] == machine(11).address.packed


async def test_an_address_is_leased_to_the_next_machine_that_has_it(lab: NetworkLab) -> None:
    await lab.fabric.apply(network(10))
    await lease(lab, machine(10))
    heir = replace(machine(10), machine_id="heir", mac="0e:00:0a:1e:00:ff")
    await lab.fabric.apply(replace(network(), nics=(heir,)))
    assert (await lease(lab, heir))["address"] == bytes((10, 30, 0, 10))


async def test_records_of_a_killed_daemon_are_served_by_the_next(
    lab: NetworkLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are there, and the server was not told."""
    await lab.fabric.apply(network(10))
    await lab.boot(machine(10))
    wider = replace(network(10, 11), subnets=(SUBNET, Subnet("subnet-b", 2, IPv4Network("10.30.1.0/24"))))
    with monkeypatch.context() as killed:
        killed.setattr(dnsmasq, "serving_pid", Mock(side_effect=asyncio.CancelledError))
        with pytest.raises(asyncio.CancelledError):
            await lab.fabric.apply(network(10, 11))
    await KernelFabric(lab.number, lab.folder).apply(network(10, 11))
    with lab.inside("m10", socket.SOCK_DGRAM) as client:
        assert resolve(client, "host-11.internal") == (0, ["10.30.0.11"])
    with monkeypatch.context() as killed:
        killed.setattr(dnsmasq, "serving_pid", Mock(side_effect=asyncio.CancelledError))
        with pytest.raises(asyncio.CancelledError):
            await lab.fabric.apply(wider)
    await KernelFabric(lab.number, lab.folder).apply(wider)
    with lab.inside("m10", socket.SOCK_DGRAM) as client:
        assert resolve(client, "host-11.internal", server="10.30.1.2") == (0, ["10.30.0.11"])


async def test_the_log_of_a_name_server_does_not_grow_for_ever(lab: NetworkLab) -> None:
    await lab.fabric.apply(network(10))
    log = Files(lab.folder / "net-a").log
    with log.open("a") as file:
        file.write("x" * (dnsmasq.LOG_LIMIT + 1))
    await lab.fabric.apply(network(10, 11))
    assert log.stat().st_size < dnsmasq.LOG_LIMIT
