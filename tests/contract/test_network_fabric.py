"""The fabric on the real kernel: each machine here is a network namespace with a small server in it."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import pytest_asyncio

from kit.process import run_async
from localcloud.network import dnsmasq, namespaces
from localcloud.network.fabric import KernelFabric
from localcloud.network.health import Health, HealthCheck, Prober, Status, Target
from localcloud.network.names import HEALTH_CHECKS, METADATA, NETNS_DIR
from localcloud.network.records import Files
from localcloud.network.rules import ruleset
from localcloud.network.spec import Forward, Network, Nic, Subnet, Transport

pytestmark = pytest.mark.e2e

SUBNET = Subnet("subnet-a", 1, IPv4Network("10.30.0.0/24"))
VIP = IPv4Address("10.30.0.100")
PORT = 8080
PATIENCE = 20.0
"""Seconds in which an answer must come, on a slow machine too; it takes milliseconds."""
SILENCE = 0.5
"""Seconds after which nobody will answer any more."""
UNREACHABLE = 3.5
"""Seconds after which a router would have said that it finds no neighbour of that address."""

SERVER = """
import asyncio, sys
name, port = sys.argv[1], int(sys.argv[2])
async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            body = f"{name} {writer.get_extra_info('peername')[0]}".encode()
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport = transport
    def datagram_received(self, data, peer): self.transport.sendto(f"{name} {peer[0]}".encode(), peer)
async def main():
    await asyncio.get_running_loop().create_datagram_endpoint(Echo, local_addr=("0.0.0.0", port))
    server = await asyncio.start_server(serve, "0.0.0.0", port, backlog=1000)
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def machine(number: int, *, plugged: bool = True, public: IPv4Address | None = None) -> Nic:
    address = IPv4Address(f"10.30.0.{number}")
    mac = f"0e:00:0a:1e:00:{number:02x}"
    return Nic(f"m{number}", SUBNET.id, mac, address, f"host-{number}", plugged, ("service",), public)


def network(*numbers: int, id: str = "net-a", index: int = 1, forwards: tuple[Forward, ...] = ()) -> Network:  # noqa: A002 - the spec's own word
    return Network(id, index, (SUBNET,), tuple(map(machine, numbers)), forwards)


@dataclass
class Cloud:
    """A fabric, and the machines that were booted in it."""

    number: int
    fabric: KernelFabric
    folder: Path
    servers: list[asyncio.subprocess.Process] = field(default_factory=list)

    def public(self, last: int) -> IPv4Address:
        return IPv4Address(f"127.66.{self.number}.{last}")

    def balancer(
        self, *targets: int, address: IPv4Address | None = None, transport: Transport = Transport.TCP
    ) -> Forward:
        to = tuple(IPv4Address(f"10.30.0.{target}") for target in targets)
        return Forward(address or self.public(5), 80, transport, PORT, to)

    async def boot(self, *nics: Nic, name: str = "") -> None:
        """Does what a guest's DHCP client would do, and serves the machine's name on PORT."""
        for nic in nics:
            inside = ("nsenter", f"--net=/run/netns/{self.fabric.netns_of(nic.machine_id)}")
            lines = (f"address add {nic.address}/24 dev eth0", "route add default via 10.30.0.1")
            await run_async((*inside, "ip", "-batch", "-"), stdin="\n".join(lines))
            server = await asyncio.create_subprocess_exec(
                *inside, sys.executable, "-c", SERVER, name or nic.machine_id, str(PORT), stdout=asyncio.subprocess.PIPE
            )
            self.servers.append(server)
            assert server.stdout
            assert await server.stdout.readline() == b"ready\n"

    def inside(self, machine_id: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """A socket of a machine's own."""
        return namespaces.open_socket(self.fabric.netns_of(machine_id), socket.AF_INET, kind)

    async def left(self) -> list[str]:
        """All that the host holds of this cloud."""
        prefix, link = f"samovar-{self.number}-", f"smv{self.number}h"
        routes, tables, processes = [
            (await run_async(argv)).stdout.splitlines()
            for argv in (
                ("ip", "route", "show", "table", "all"),
                ("nft", "list", "tables"),
                ("ps", "-wweo", "stat,args"),
            )
        ]
        return [
            *namespaces.existing(prefix),
            *(name for _, name in socket.if_nameindex() if name.startswith(link)),
            *(route for route in routes if f"127.66.{self.number}." in route),
            *(table for table in tables if "samovar" in table),
            *(process for process in processes if f"{self.folder}/" in process),
        ]


@contextmanager
def free_number() -> Iterator[int]:
    """A cloud's number that no other test run uses: the name of an abstract socket is the lock."""
    for number in range(200, 210):
        with socket.socket(socket.AF_UNIX) as lock, suppress(OSError):
            lock.bind(f"\0samovar-test-{number}")
            if not namespaces.existing(f"samovar-{number}-"):
                yield number
                return
    pytest.fail("no cloud number between 200 and 209 is free: look at `ip netns`")


@pytest_asyncio.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    with free_number() as number:
        made = Cloud(number, KernelFabric(number, tmp_path), tmp_path)
        try:
            yield made
        finally:
            for server in made.servers:
                with suppress(ProcessLookupError):
                    server.kill()
                await server.wait()
            await made.fabric.close()
        assert await made.left() == []


def ask(
    connection: socket.socket, address: IPv4Address, port: int = 80, *, close: bool = True, timeout: float = PATIENCE
) -> str:
    """What the server says: its name and the address that it saw."""
    connection.settimeout(timeout)
    try:
        connection.connect((str(address), port))
        return ask_again(connection)
    finally:
        if close:
            connection.close()


def ask_again(connection: socket.socket) -> str:
    connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer or answer.endswith(b"\r\n\r\n"):
        more = connection.recv(4096)
        if not more:
            raise ConnectionResetError(errno.ECONNRESET, "closed")
        answer += more
    return answer.partition(b"\r\n\r\n")[2].decode()


def ask_host(address: IPv4Address, port: int = 80, *, timeout: float = PATIENCE) -> str:
    with socket.socket() as connection:
        return ask(connection, address, port, timeout=timeout)


def silent(question: Callable[[], object]) -> bool:
    """True if nothing at all came back: no answer, no reset, no ICMP error."""
    try:
        question()
    except TimeoutError:
        return True
    return False


async def test_the_host_reaches_targets_in_turn_at_a_public_address(cloud: Cloud) -> None:
    net = network(10, 11, forwards=(cloud.balancer(10, 11),))
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    answers = Counter([ask_host(cloud.public(5)) for _ in range(200)])
    assert answers.keys() == {"m10 10.30.0.1", "m11 10.30.0.1"}
    assert min(answers.values()) > 50


async def test_networks_with_the_same_addresses_live_side_by_side(cloud: Cloud) -> None:
    one = network(10, forwards=(cloud.balancer(10),))
    twins = (replace(machine(10), machine_id="other"), replace(machine(11), machine_id="client"))
    other = replace(one, id="net-b", index=2, nics=twins, forwards=(cloud.balancer(10, address=cloud.public(6)),))
    await asyncio.gather(cloud.fabric.apply(one), cloud.fabric.apply(other))
    await cloud.boot(*one.nics, *other.nics)
    assert ask_host(cloud.public(5)).startswith("m10 ")
    assert ask_host(cloud.public(6)).startswith("other ")
    assert ask(cloud.inside("client"), IPv4Address("10.30.0.10"), PORT) == "other 10.30.0.11"


async def test_a_public_address_moves_to_another_network(cloud: Cloud) -> None:
    one, other = network(10, forwards=(cloud.balancer(10),)), network(id="net-b", index=2)
    moved = replace(other, nics=(replace(machine(10), machine_id="other"),), forwards=one.forwards)
    await cloud.fabric.apply(one)
    await cloud.fabric.apply(moved)
    await cloud.boot(*moved.nics)
    await cloud.fabric.apply(replace(one, forwards=()))
    assert ask_host(cloud.public(5)).startswith("other ")


async def test_machines_of_two_subnets_reach_each_other_through_the_router_alone(cloud: Cloud) -> None:
    second = Subnet("subnet-b", 2, IPv4Network("10.30.1.0/24"))
    far = Nic("far", second.id, "0e:00:0a:1e:01:0a", IPv4Address("10.30.1.10"), "far")
    net = replace(network(10, 11), subnets=(SUBNET, second), nics=(machine(10), machine(11), far))
    await cloud.fabric.apply(net)
    await cloud.boot(machine(10), machine(11))
    inside = ("nsenter", f"--net=/run/netns/{cloud.fabric.netns_of('far')}", "ip", "-batch", "-")
    await run_async(inside, stdin="address add 10.30.1.10/24 dev eth0\nroute add default via 10.30.1.1\n")
    assert ask(cloud.inside("far"), IPv4Address("10.30.0.10"), PORT) == "m10 10.30.1.10"
    assert ask(cloud.inside("m11"), IPv4Address("10.30.0.10"), PORT) == "m10 10.30.0.11"


async def test_no_request_fails_while_the_balancer_changes_a_hundred_times(cloud: Cloud) -> None:
    sets = ((10, 11), (10,), (11,), (12, 11, 10))
    net = network(10, 11, 12, forwards=(cloud.balancer(10),))
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    done, answers = threading.Event(), Counter[str]()

    def keep_asking() -> None:
        with socket.socket() as kept:
            first = ask(kept, cloud.public(5), close=False)
            while not done.is_set():
                answers[ask_host(cloud.public(5))] += 1
                assert ask_again(kept) == first

    asking = [asyncio.create_task(asyncio.to_thread(keep_asking)) for _ in range(2)]
    for change in range(100):
        await cloud.fabric.apply(replace(net, forwards=(cloud.balancer(*sets[change % len(sets)]),)))
    done.set()
    await asyncio.gather(*asking)
    assert answers.keys() == {"m10 10.30.0.1", "m11 10.30.0.1", "m12 10.30.0.1"}


async def test_udp_goes_through_a_balancer(cloud: Cloud) -> None:
    net = network(10, 11, forwards=(cloud.balancer(10, 11, transport=Transport.UDP),))
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    answers = set()
    for _ in range(40):
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.connect((str(cloud.public(5)), 80))
            client.send(b"?")
            answers.add(client.recv(100).decode())
    assert answers == {"m10 10.30.0.1", "m11 10.30.0.1"}


async def test_an_internal_balancer_shows_targets_who_asks_and_fails_for_its_own_targets(cloud: Cloud) -> None:
    net = network(10, 11, 12, forwards=(cloud.balancer(10, 11, address=VIP),))
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    answers = {ask(cloud.inside("m12"), VIP) for _ in range(40)}
    assert answers == {"m10 10.30.0.12", "m11 10.30.0.12"}
    for target in ("m10", "m11"):
        assert all(silent(lambda: ask(cloud.inside(target), VIP, timeout=SILENCE)) for _ in range(4))  # noqa: B023 - called at once


async def test_a_balancer_without_targets_and_a_port_that_it_does_not_have_are_silent(cloud: Cloud) -> None:
    net = network(10, forwards=(cloud.balancer(), cloud.balancer(address=VIP)))
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    assert silent(lambda: ask_host(cloud.public(5), timeout=SILENCE))
    assert silent(lambda: ask(cloud.inside("m10"), VIP, timeout=SILENCE))
    await cloud.fabric.apply(replace(net, forwards=(cloud.balancer(10),)))
    assert silent(lambda: ask_host(cloud.public(5), 81, timeout=SILENCE))
    assert ask_host(cloud.public(5)) == "m10 10.30.0.1"


async def test_a_machine_answers_on_every_port_of_its_public_address(cloud: Cloud) -> None:
    net = replace(network(), nics=(machine(10, public=cloud.public(9)),))
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    assert ask_host(cloud.public(9), PORT) == "m10 10.30.0.1"
    with pytest.raises(ConnectionRefusedError):
        ask_host(cloud.public(9), PORT + 1)


async def test_flows_keep_their_target_until_they_are_forgotten(cloud: Cloud) -> None:
    net = network(10, 11, forwards=(cloud.balancer(10),))
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    with socket.socket() as kept, socket.socket(type=socket.SOCK_DGRAM):
        ask(kept, cloud.public(5), close=False)
        await cloud.fabric.apply(replace(net, forwards=(cloud.balancer(11),)))
        assert ask_again(kept) == "m10 10.30.0.1"
        assert ask_host(cloud.public(5)) == "m11 10.30.0.1"
        await cloud.fabric.forget_flows(net.id, IPv4Address("10.30.0.10"))
        with pytest.raises(ConnectionResetError):
            ask_again(kept)
    await cloud.fabric.forget_flows(net.id, IPv4Address("10.30.0.77"))


async def test_a_machine_that_loses_its_power_is_silent_at_once_and_comes_back_with_a_new_interface(
    cloud: Cloud,
) -> None:
    net = replace(network(11), nics=(machine(10, public=cloud.public(9)), machine(11)))
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    with socket.socket() as kept:
        ask(kept, cloud.public(9), PORT, close=False)
        await cloud.fabric.unplug(net.id, "m10")
        kept.settimeout(SILENCE)
        assert silent(lambda: ask_again(kept))
    assert silent(lambda: ask_host(cloud.public(9), PORT, timeout=SILENCE))
    with cloud.inside("m11") as neighbour:
        neighbour.settimeout(UNREACHABLE)
        assert silent(lambda: neighbour.connect(("10.30.0.10", PORT)))
    dark = replace(net, nics=(replace(net.nics[0], plugged=False), net.nics[1]))
    await cloud.fabric.apply(dark)
    assert not namespaces.existing(cloud.fabric.netns_of("m10"))
    await cloud.fabric.apply(net)
    await cloud.boot(net.nics[0], name="again")
    assert ask_host(cloud.public(9), PORT).startswith("again ")


async def test_a_machine_cut_and_started_again_between_two_calls_gets_a_new_interface(cloud: Cloud) -> None:
    net = network(10)
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    await cloud.fabric.unplug(net.id, "m10")
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics, name="again")
    await cloud.fabric.unplug(net.id, "nobody")


def resolve(client: socket.socket, name: str, kind: int = 1) -> tuple[int, list[str]]:
    """The return code and the addresses that the name server gives."""
    question = b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"
    client.settimeout(PATIENCE)
    client.sendto(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + question + struct.pack("!2H", kind, 1), ("10.30.0.2", 53))
    answer = client.recv(512)
    _, flags, _, count, _, _ = struct.unpack("!6H", answer[:12])
    records = answer[12 + len(question) + 4 :]
    assert all(records[16 * n + 10 : 16 * n + 12] == b"\0\4" for n in range(count))
    return flags & 15, [socket.inet_ntoa(records[16 * n + 12 : 16 * n + 16]) for n in range(count)]


async def test_machines_are_known_by_name_before_they_boot_and_no_longer_once_they_are_gone(cloud: Cloud) -> None:
    no_such_name = 3
    net = network(10, 11)
    await cloud.fabric.apply(net)
    await cloud.boot(machine(10))
    with cloud.inside("m10", socket.SOCK_DGRAM) as client:
        assert resolve(client, "host-11.internal") == (0, ["10.30.0.11"])
        assert resolve(client, "m11.auto.internal") == (0, ["10.30.0.11"])
        code, addresses = resolve(client, "service.internal")
        assert (code, sorted(addresses)) == (0, ["10.30.0.10", "10.30.0.11"])
        assert resolve(client, "host-11.internal", kind=28) == (0, [])
        assert resolve(client, "instance-data.internal") == (no_such_name, [])
        assert resolve(client, "example.com") == (no_such_name, [])
        await cloud.fabric.apply(network(10, 12))
        assert resolve(client, "host-12.internal") == (0, ["10.30.0.12"])
        assert resolve(client, "host-11.internal") == (no_such_name, [])


def discover(client: socket.socket, mac: str) -> dict[int | str, bytes]:
    """What a DHCP client hears that takes the first offer (rapid commit): the address and the options, by number."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    head = struct.pack("!BBBBIHH", 1, 1, 6, 0, random.getrandbits(32), 0, 0x8000) + bytes(16)
    options = bytes((53, 1, 1, 80, 0, 12, 4)) + b"fake" + bytes((55, 5, 1, 3, 6, 12, 15, 255))
    packet = head + hardware.ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63" + options
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    client.settimeout(PATIENCE)
    client.bind(("", 68))
    client.sendto(packet, ("255.255.255.255", 67))
    answer = client.recv(1500)
    assert answer[4:8] == packet[4:8]
    heard: dict[int | str, bytes] = {"address": answer[16:20]}
    rest = answer[240:]
    while rest[0] != 255:
        heard[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
    return heard


async def lease(cloud: Cloud, nic: Nic) -> dict[int | str, bytes]:
    with cloud.inside(nic.machine_id, socket.SOCK_DGRAM) as client:
        return discover(client, nic.mac)


async def test_a_machine_gets_its_address_by_dhcp_at_once(cloud: Cloud) -> None:
    await cloud.fabric.apply(network(10))
    heard = await lease(cloud, machine(10))
    assert heard["address"] == bytes((10, 30, 0, 10))
    assert heard[53] == bytes((5,))
    assert heard[1] == bytes((255, 255, 255, 0))
    assert heard[3] == bytes((10, 30, 0, 1))
    assert heard[6] == bytes((10, 30, 0, 2))
    assert heard[12] == b"host-10"
    assert heard[15] == b"internal"


async def test_an_address_is_leased_to_the_next_machine_that_has_it(cloud: Cloud) -> None:
    await cloud.fabric.apply(network(10))
    await lease(cloud, machine(10))
    heir = replace(machine(10), machine_id="heir", mac="0e:00:0a:1e:00:ff")
    await cloud.fabric.apply(replace(network(), nics=(heir,)))
    assert (await lease(cloud, heir))["address"] == bytes((10, 30, 0, 10))


@contextmanager
def listener(made: socket.socket, address: str) -> Iterator[int]:
    """Listens on a free port and answers nothing: to connect is enough."""
    with made:
        made.bind((address, 0))
        made.listen()
        yield made.getsockname()[1]


async def test_no_machine_reaches_a_loopback_service(cloud: Cloud) -> None:
    net = network(10)
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    namespaces.write_sysctls({"ipv4/conf/eth0/route_localnet": "1"}, cloud.fabric.netns_of("m10"))
    made = cloud.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM)

    def reach(port: int, timeout: float) -> None:
        with cloud.inside("m10") as client:
            client.settimeout(timeout)
            client.connect(("127.0.0.1", port))

    with listener(made, "127.0.0.1") as port:
        assert silent(lambda: reach(port, SILENCE))
        unguarded = ("nsenter", f"--net=/run/netns/samovar-{cloud.number}-1", "nft", "flush chain ip samovar guard")
        await run_async(unguarded)
        reach(port, PATIENCE)


async def test_a_machine_speaks_with_its_own_addresses_alone(cloud: Cloud) -> None:
    net = network(10, 11)
    await cloud.fabric.apply(net)
    await cloud.boot(machine(10), machine(11))
    inside = ("nsenter", f"--net=/run/netns/{cloud.fabric.netns_of('m10')}", "ip")
    await run_async((*inside, "address", "add", "10.30.0.11/32", "dev", "lo"))
    made = cloud.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_DGRAM)
    with made, cloud.inside("m10", socket.SOCK_DGRAM) as honest, cloud.inside("m10", socket.SOCK_DGRAM) as liar:
        made.bind((str(METADATA), 0))
        made.settimeout(PATIENCE)
        honest.sendto(b"honest", made.getsockname())
        assert made.recvfrom(10)[0] == b"honest"
        made.settimeout(SILENCE)
        liar.bind(("10.30.0.11", 0))
        liar.sendto(b"liar", made.getsockname())
        assert silent(lambda: made.recv(10))
    await run_async((*inside, "link", "set", "eth0", "address", "0e:00:0a:1e:00:0b"))
    assert silent(lambda: ask(cloud.inside("m10"), machine(11).address, PORT, timeout=SILENCE))
    assert ask(cloud.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM), machine(11).address, PORT)


async def test_nothing_new_leaves_and_what_cannot_be_reached_is_silent(cloud: Cloud) -> None:
    net = network(10)
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    with listener(socket.socket(), "127.65.0.1") as port:
        made = cloud.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM)
        made.settimeout(SILENCE)
        with made:
            assert silent(lambda: made.connect(("127.65.0.1", port)))

    def reach(address: str) -> None:
        with cloud.inside("m10") as client:
            client.settimeout(UNREACHABLE)
            client.connect((address, 80))

    nowhere = ("198.51.100.1", "10.99.0.1", "10.30.0.50")
    waits = (asyncio.to_thread(silent, partial(reach, address)) for address in nowhere)
    assert await asyncio.gather(*waits) == [True, True, True]


def namespace_of_this_thread() -> Path:
    return Path("/proc/thread-self/ns/net").readlink()


async def test_sockets_live_in_the_network_that_was_named_from_any_number_of_threads(cloud: Cloud) -> None:
    one, other = network(10), replace(network(id="net-b", index=2), nics=(replace(machine(10), machine_id="other"),))
    await cloud.fabric.apply(one)
    await cloud.fabric.apply(other)
    await cloud.boot(*one.nics, *other.nics)
    own = namespace_of_this_thread()

    def question(count: int) -> bool:
        name, expected = ("net-a", "m10") if count % 2 else ("net-b", "other")
        made = cloud.fabric.socket_in(name, socket.AF_INET, socket.SOCK_STREAM)
        assert not made.getblocking()
        answer = ask(made, IPv4Address("10.30.0.10"), PORT)
        return answer.startswith(expected) and namespace_of_this_thread() == own

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(question, range(100)))


async def test_health_checks_come_from_their_own_address_and_tell_a_machine_that_died(cloud: Cloud) -> None:
    net = network(10)
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    seen = ask_bound(cloud.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM), str(HEALTH_CHECKS))
    assert seen == f"m10 {HEALTH_CHECKS}"
    told: asyncio.Queue[Health] = asyncio.Queue()
    prober = Prober[str](cloud.fabric.socket_in, lambda _key, now: told.put_nowait(now))
    check = HealthCheck(
        "check", interval=0.1, timeout=1.0, unhealthy_threshold=2, healthy_threshold=2, port=PORT, path="/"
    )
    prober.set_targets({"m10": Target(net.id, machine(10).address, check)})
    async with asyncio.timeout(PATIENCE):
        assert (await told.get()).status is Status.HEALTHY
        await cloud.fabric.unplug(net.id, "m10")
        assert (await told.get()).status is Status.UNHEALTHY
    await prober.close()


def ask_bound(connection: socket.socket, source: str) -> str:
    connection.bind((source, 0))
    return ask(connection, machine(10).address, PORT)


async def test_the_next_daemon_adopts_what_is_there_and_removes_what_is_no_longer_wanted(cloud: Cloud) -> None:
    net = network(10, 11, forwards=(cloud.balancer(10),))
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    server = dnsmasq.serving(Files(cloud.folder / net.id))
    with socket.socket() as kept:
        ask(kept, cloud.public(5), close=False)
        successor = KernelFabric(cloud.number, cloud.folder)
        await successor.apply(replace(net, nics=net.nics[:1]))
        assert ask_again(kept) == "m10 10.30.0.1"
    assert dnsmasq.serving(Files(cloud.folder / net.id)) == server
    assert not namespaces.existing(successor.netns_of("m11"))
    await KernelFabric(cloud.number, cloud.folder).unplug(net.id, "m10")
    assert silent(lambda: ask_host(cloud.public(5), timeout=SILENCE))


async def test_namespaces_that_are_half_made_are_made_anew(cloud: Cloud) -> None:
    await run_async(("ip", "netns", "add", f"samovar-{cloud.number}-elsewhere"))  # sets /run/netns up on a fresh host
    for name in ("1", "m10"):
        (NETNS_DIR / f"samovar-{cloud.number}-{name}").touch()
    net = network(10, forwards=(cloud.balancer(10),))
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    assert ask_host(cloud.public(5)) == "m10 10.30.0.1"


async def test_a_network_whose_namespace_somebody_deleted_is_made_anew_with_its_name_server(cloud: Cloud) -> None:
    net = network(10)
    await cloud.fabric.apply(net)
    before = dnsmasq.serving(Files(cloud.folder / net.id))
    await run_async(("ip", "netns", "del", f"samovar-{cloud.number}-1"))
    await KernelFabric(cloud.number, cloud.folder).apply(net)
    assert dnsmasq.serving(Files(cloud.folder / net.id)) != before
    assert (await lease(cloud, machine(10)))["address"] == machine(10).address.packed


async def test_a_call_that_was_cut_short_is_finished_by_the_next(cloud: Cloud) -> None:
    net = network(10, 11, 12)
    for steps in range(12):
        half = asyncio.create_task(cloud.fabric.apply(net if steps % 2 else network(10)))
        await asyncio.sleep(0.004 * steps)
        half.cancel()
        with suppress(asyncio.CancelledError):
            await half
    await cloud.fabric.apply(net)
    await cloud.boot(*net.nics)
    assert ask(cloud.inside("m11"), machine(12).address, PORT) == "m12 10.30.0.11"


async def test_a_name_server_that_died_is_started_by_the_next_call(cloud: Cloud) -> None:
    await cloud.fabric.apply(network(10))
    pid = dnsmasq.serving(Files(cloud.folder / "net-a"))
    assert pid
    await dnsmasq.end(pid)
    await cloud.fabric.apply(network(10))
    assert (await lease(cloud, machine(10)))["address"] == bytes((10, 30, 0, 10))


async def test_a_removed_network_leaves_nothing(cloud: Cloud) -> None:
    net = network(10, forwards=(cloud.balancer(10),))
    await cloud.fabric.apply(net)
    assert len(await cloud.left()) > 4
    await cloud.fabric.remove(net.id)
    assert await cloud.left() == []
    assert list(cloud.folder.iterdir()) == []
    await cloud.fabric.remove(net.id)


async def test_what_an_earlier_run_left_is_removed_even_if_its_folder_is_gone(cloud: Cloud, tmp_path: Path) -> None:
    await cloud.fabric.apply(network(10, forwards=(cloud.balancer(10),)))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    await KernelFabric(cloud.number, elsewhere).close()
    assert await cloud.left() == []


async def test_a_call_without_a_change_asks_the_kernel_nothing(cloud: Cloud) -> None:
    async def took(net: Network) -> float:
        began = time.perf_counter()
        await cloud.fabric.apply(net)
        return time.perf_counter() - began

    await cloud.fabric.apply(network(*range(10, 60)))
    idle = min([await took(network(*range(10, 60))) for _ in range(5)])
    one_more = min([await took(network(*range(10, last))) for last in range(61, 66)])
    assert idle < one_more / 5


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
            targets=tuple(nic.address for nic in nics if dice.random() < 0.5),
        )
        for number in dice.sample(range(1, 255), dice.randrange(6))
    )
    return Network("net-a", 1, subnets, nics, forwards)


async def test_nft_takes_every_ruleset() -> None:
    for seed in range(30):
        await run_async(("unshare", "--net", "nft", "-c", "-f", "-"), stdin=ruleset(random_network(seed)))
