"""The fabric on the real kernel: how networks are applied, adopted, finished and removed."""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from samovar.core import proc
from samovar.core.process import run_async
from samovar.localcloud.network import dnsmasq, namespaces
from samovar.localcloud.network.dnsmasq import Files
from samovar.localcloud.network.kernel_fabric import KernelFabric
from samovar.localcloud.network.model import Network
from samovar.localcloud.network.names import NETNS_DIR
from tests.support.network_lab import (
    PORT,
    SILENCE,
    UNREACHABLE,
    NetworkLab,
    ask,
    ask_again,
    ask_host,
    lease,
    machine,
    network,
    silent,
)


async def test_a_machine_that_loses_its_power_is_silent_at_once_and_comes_back_with_a_new_interface(
    lab: NetworkLab,
) -> None:
    net = replace(network(11), nics=(machine(10, public=lab.public(9)), machine(11)))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    with socket.socket() as kept:
        ask(kept, lab.public(9), PORT, close=False)
        await lab.fabric.unplug(net.id, "m10")
        kept.settimeout(SILENCE)
        assert silent(lambda: ask_again(kept))
    assert silent(lambda: ask_host(lab.public(9), PORT, timeout=SILENCE))
    with lab.inside("m11") as neighbour:
        neighbour.settimeout(UNREACHABLE)
        assert silent(lambda: neighbour.connect(("10.30.0.10", PORT)))
    dark = replace(net, nics=(replace(net.nics[0], plugged=False), net.nics[1]))
    await lab.fabric.apply(dark)
    assert not namespaces.existing(lab.fabric.netns_of("m10"))
    await lab.fabric.apply(net)
    await lab.boot(net.nics[0], name="again")
    assert ask_host(lab.public(9), PORT).startswith("again ")


async def test_a_machine_cut_and_started_again_between_two_calls_gets_a_new_interface(lab: NetworkLab) -> None:
    net = network(10)
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    await lab.fabric.unplug(net.id, "m10")
    await lab.fabric.apply(net)
    await lab.boot(*net.nics, name="again")
    await lab.fabric.unplug(net.id, "nobody")


def namespace_of_this_thread() -> Path:
    return Path("/proc/thread-self/ns/net").readlink()


async def test_sockets_belong_to_the_named_network_in_any_number_of_threads(lab: NetworkLab) -> None:
    one, other = network(10), replace(network(id="net-b", index=2), nics=(replace(machine(10), machine_id="other"),))
    await lab.fabric.apply(one)
    await lab.fabric.apply(other)
    await lab.boot(*one.nics, *other.nics)
    own = namespace_of_this_thread()

    def question(count: int) -> bool:
        name, expected = ("net-a", "m10") if count % 2 else ("net-b", "other")
        created = lab.fabric.socket_in(name, socket.AF_INET, socket.SOCK_STREAM)
        assert not created.getblocking()
        answer = ask(created, IPv4Address("10.30.0.10"), PORT)
        return answer.startswith(expected) and namespace_of_this_thread() == own

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(question, range(100)))


async def test_the_next_daemon_adopts_networks_and_removes_the_rest(lab: NetworkLab) -> None:
    net = network(10, 11, forwards=(lab.balancer(10),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    server = dnsmasq.serving_pid(Files(lab.folder / net.id))
    with socket.socket() as kept:
        ask(kept, lab.public(5), close=False)
        successor = KernelFabric(lab.number, lab.folder)
        await successor.apply(replace(net, nics=net.nics[:1]))
        assert ask_again(kept) == "m10 10.30.0.1"
    assert dnsmasq.serving_pid(Files(lab.folder / net.id)) == server
    assert not namespaces.existing(successor.netns_of("m11"))
    await KernelFabric(lab.number, lab.folder).unplug(net.id, "m10")
    assert silent(lambda: ask_host(lab.public(5), timeout=SILENCE))


async def test_incomplete_namespaces_are_replaced(lab: NetworkLab) -> None:
    await run_async(("ip", "netns", "add", f"samovar-{lab.number}-elsewhere"))  # sets /run/netns up on a fresh host
    for name in ("1", "m10"):
        (NETNS_DIR / f"samovar-{lab.number}-{name}").touch()
    net = network(10, forwards=(lab.balancer(10),))
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    assert ask_host(lab.public(5)) == "m10 10.30.0.1"


async def test_a_deleted_namespace_is_replaced_with_its_name_server(lab: NetworkLab) -> None:
    net = network(10)
    await lab.fabric.apply(net)
    before = dnsmasq.serving_pid(Files(lab.folder / net.id))
    await run_async(("ip", "netns", "del", f"samovar-{lab.number}-1"))
    await KernelFabric(lab.number, lab.folder).apply(net)
    assert dnsmasq.serving_pid(Files(lab.folder / net.id)) != before
    assert (await lease(lab, machine(10)))["address"] == machine(10).address.packed


async def test_a_call_that_was_cut_short_is_finished_by_the_next(lab: NetworkLab) -> None:
    net = network(10, 11, 12)
    for steps in range(12):
        half = asyncio.create_task(lab.fabric.apply(net if steps % 2 else network(10)))
        await asyncio.sleep(0.004 * steps)
        half.cancel()
        with suppress(asyncio.CancelledError):
            await half
    await lab.fabric.apply(net)
    await lab.boot(*net.nics)
    assert ask(lab.inside("m11"), machine(12).address, PORT) == "m12 10.30.0.11"


async def test_a_name_server_that_died_is_started_by_the_next_call(lab: NetworkLab) -> None:
    await lab.fabric.apply(network(10))
    pid = dnsmasq.serving_pid(Files(lab.folder / "net-a"))
    assert pid
    await asyncio.to_thread(proc.terminate, pid)
    await lab.fabric.apply(network(10))
    assert (await lease(lab, machine(10)))["address"] == bytes((10, 30, 0, 10))


async def test_a_removed_network_leaves_nothing(lab: NetworkLab) -> None:
    net = network(10, forwards=(lab.balancer(10),))
    await lab.fabric.apply(net)
    assert len(await lab.leftovers()) > 4
    await lab.fabric.remove(net.id)
    assert await lab.leftovers() == []
    assert list(lab.folder.iterdir()) == []
    await lab.fabric.remove(net.id)


async def test_leftovers_of_an_earlier_run_are_removed_without_their_folder(lab: NetworkLab, tmp_path: Path) -> None:
    await lab.fabric.apply(network(10, forwards=(lab.balancer(10),)))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    await KernelFabric(lab.number, elsewhere).close()
    assert await lab.leftovers() == []


async def test_a_call_without_a_change_asks_the_kernel_nothing(lab: NetworkLab) -> None:
    async def took(net: Network) -> float:
        began = time.perf_counter()
        await lab.fabric.apply(net)
        return time.perf_counter() - began

    await lab.fabric.apply(network(*range(10, 60)))
    idle = min([await took(network(*range(10, 60))) for _ in range(5)])
    one_more = min([await took(network(*range(10, last))) for last in range(61, 66)])
    assert idle < one_more / 5


async def test_files_of_the_name_server_are_bounded(lab: NetworkLab) -> None:
    """Also while the daemon is away: the kernel lets no file of the name server's grow further."""
    net = network(10)
    await lab.fabric.apply(net)
    files = Files(lab.folder / net.id)
    limits = Path(f"/proc/{dnsmasq.serving_pid(files)}/limits").read_text()  # noqa: ASYNC240 - at once
    (line,) = [line for line in limits.splitlines() if line.startswith("Max file size")]
    assert line.split()[3:5] == [str(8 * dnsmasq.LOG_LIMIT)] * 2
    with files.log.open("a") as log:
        log.write("x" * 2 * dnsmasq.LOG_LIMIT)
    await lab.fabric.apply(net)
    assert files.log.stat().st_size == 0
    assert (await lease(lab, net.nics[0]))["address"] == net.nics[0].address.packed
