"""A lab of networks on the real kernel: each machine is a network namespace with a small server in it."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import random
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from samovar.core.process import run_async
from samovar.localcloud.network import namespaces
from samovar.localcloud.network.egress import Mirrors
from samovar.localcloud.network.kernel_fabric import KernelFabric
from samovar.localcloud.network.model import Forward, Mirror, Network, Nic, Subnet, Transport
from samovar.localcloud.network.names import NETNS_DIR
from tests.support.leftovers import leftovers

SUBNET = Subnet("subnet-a", 1, IPv4Network("10.30.0.0/24"))
VIP = IPv4Address("10.30.0.100")
PORT = 8080
ANSWER_TIMEOUT = 20.0
"""Seconds in which an answer must come, on a slow machine too; it takes milliseconds."""
SILENCE = 0.5
"""Seconds after which no answer comes any more."""
UNREACHABLE = 3.5
"""Seconds after which a router would have said that it finds no neighbour of that address."""
SERVER = Path(__file__).with_name("whoami_server.py")
INTERNET = ("198.51.100.7", "198.51.100.8")
"""Addresses on the internet of an isolated host."""
SOCKETS = ("tcp", "tcp6", "udp", "udp6", "raw", "packet")


def machine(number: int, *, plugged: bool = True, public: IPv4Address | None = None) -> Nic:
    address = IPv4Address(f"10.30.0.{number}")
    mac = f"0e:00:0a:1e:00:{number:02x}"
    return Nic(f"m{number}", SUBNET.id, mac, address, f"host-{number}", plugged, ("service",), public)


def network(*numbers: int, id: str = "net-a", index: int = 1, forwards: tuple[Forward, ...] = ()) -> Network:  # noqa: A002 - the spec's own word
    return Network(id, index, (SUBNET,), tuple(map(machine, numbers)), forwards)


class FixedMirrors(Mirrors):
    """Mirrors that are never looked up: nothing of a test leaves the host."""

    def __init__(self, *mirrors: Mirror) -> None:
        super().__init__()
        self._mirrors = mirrors

    def current(self) -> tuple[Mirror, ...]:
        return self._mirrors


@dataclass
class NetworkLab:
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
        return Forward(address or self.public(5), 80, transport, PORT, to, to)

    async def boot(self, *nics: Nic, name: str = "") -> None:
        """Do what a guest's DHCP client would do, and serve the machine's name on PORT."""
        for nic in nics:
            inside = ("nsenter", f"--net=/run/netns/{self.fabric.netns_of(nic.machine_id)}")
            gateway = IPv4Network(f"{nic.address}/24", strict=False)[1]
            lines = (f"address add {nic.address}/24 dev eth0", f"route add default via {gateway}")
            await run_async((*inside, "ip", "-batch", "-"), stdin="\n".join(lines))
            server = await asyncio.create_subprocess_exec(
                *inside, sys.executable, SERVER, name or nic.machine_id, str(PORT), stdout=asyncio.subprocess.PIPE
            )
            self.servers.append(server)
            assert server.stdout
            assert await server.stdout.readline() == b"ready\n"

    def inside(self, machine_id: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """Return a socket in a machine's network namespace."""
        return namespaces.open_socket(self.fabric.netns_of(machine_id), socket.AF_INET, kind)

    async def leftovers(self) -> list[str]:
        """List what the host still has of this lab."""
        tables = (await run_async(("nft", "list", "tables"))).stdout.splitlines()
        return [*leftovers(self.folder, f"samovar-{self.number}"), *(table for table in tables if "samovar" in table)]


@contextmanager
def free_number() -> Iterator[int]:
    """Yield a cloud's number that no other test run uses. A file is the lock: an isolated host has its own sockets."""
    with ExitStack() as stack:
        number = next((number for number in range(200, 210) if _take(number, stack)), None)
        if number is None:
            pytest.fail("no cloud number between 200 and 209 is free: look at `ip netns`")
        yield number


def _take(number: int, stack: ExitStack) -> bool:
    lock = stack.enter_context(Path(f"/run/lock/samovar-test-{number}").open("w"))  # noqa: SIM115 - it is
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return not namespaces.existing(f"samovar-{number}-")
    return False


def ask(
    connection: socket.socket,
    address: IPv4Address,
    port: int = 80,
    *,
    close: bool = True,
    timeout: float = ANSWER_TIMEOUT,
) -> str:
    """Return the server's answer: its name and the client address that it has."""
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


def ask_host(address: IPv4Address, port: int = 80, *, timeout: float = ANSWER_TIMEOUT) -> str:
    with socket.socket() as connection:
        return ask(connection, address, port, timeout=timeout)


def silent(question: Callable[[], object]) -> bool:
    """Return True where nothing came back: no answer, no reset, no ICMP error."""
    try:
        question()
    except TimeoutError:
        return True
    return False


def resolve(client: socket.socket, name: str, kind: int = 1, server: str = "10.30.0.2") -> tuple[int, list[str]]:
    """Return the return code and the addresses that the name server gives."""
    question = b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"
    client.settimeout(ANSWER_TIMEOUT)
    client.sendto(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + question + struct.pack("!2H", kind, 1), (server, 53))
    answer = client.recv(512)
    _, flags, _, count, _, _ = struct.unpack("!6H", answer[:12])
    records = answer[12 + len(question) + 4 :]
    assert all(records[16 * n + 10 : 16 * n + 12] == b"\0\4" for n in range(count))
    return flags & 15, [socket.inet_ntoa(records[16 * n + 12 : 16 * n + 16]) for n in range(count)]


def dhcp_packet(mac: str, options: bytes) -> bytes:
    """Return a DHCP request in the name of `mac`, which wants its answer by broadcast."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    head = struct.pack("!BBBBIHH", 1, 1, 6, 0, random.getrandbits(32), 0, 0x8000) + bytes(16)
    return head + hardware.ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63" + options + b"\xff"


def send_dhcp(client: socket.socket, packet: bytes) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    client.settimeout(ANSWER_TIMEOUT)
    client.sendto(packet, ("255.255.255.255", 67))


def discover(client: socket.socket, mac: str) -> dict[int | str, bytes]:
    """Take the first offer (rapid commit) and return the address and the options, by number."""
    packet = dhcp_packet(mac, bytes((53, 1, 1, 80, 0, 12, 4)) + b"fake" + bytes((55, 5, 1, 3, 6, 12, 15)))
    client.bind(("", 68))
    send_dhcp(client, packet)
    answer = client.recv(1500)
    assert answer[4:8] == packet[4:8]
    options: dict[int | str, bytes] = {"address": answer[16:20]}
    rest = answer[240:]
    while rest[0] != 255:
        options[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
    return options


async def lease(lab: NetworkLab, nic: Nic) -> dict[int | str, bytes]:
    with lab.inside(nic.machine_id, socket.SOCK_DGRAM) as client:
        return discover(client, nic.mac)


@asynccontextmanager
async def network_lab(tmp_path: Path, *mirrors: Mirror) -> AsyncIterator[NetworkLab]:
    with free_number() as number:
        lab = NetworkLab(number, KernelFabric(number, tmp_path, FixedMirrors(*mirrors)), tmp_path)
        try:
            yield lab
        finally:
            for server in lab.servers:
                with suppress(ProcessLookupError):
                    server.kill()
                await server.wait()
            await lab.fabric.close()
        assert await lab.leftovers() == []


@asynccontextmanager
async def isolated_host(*ports: int) -> AsyncIterator[None]:
    """A network namespace that stands for a host with an internet around it.

    While it lasts, this thread and its children are in it. INTERNET and its loopback answer at `ports`.
    """
    name = f"samovar-host-{os.getpid()}"
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    await run_async(("ip", "netns", "add", name))
    try:
        namespaces._enter(name)
        lines = ("link set lo up", "link add wan0 type veth peer name wan1", "link set wan1 up", "link set wan0 up")
        addresses = (f"address add {address}/24 dev wan0" for address in INTERNET)
        await run_async(
            ("ip", "-batch", "-"), stdin="\n".join((*lines, *addresses, "route add default via 198.51.100.1"))
        )
        servers = [await asyncio.start_server(_greet, "0.0.0.0", port) for port in ports]
        yield
        for server in servers:
            server.close()
    finally:
        namespaces._libc.setns(home, namespaces.CLONE_NEWNET)
        os.close(home)
        await run_async(("ip", "netns", "del", name))
        assert not (NETNS_DIR / name).exists()


async def _greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()


def listeners() -> list[str]:
    """List kind and local address of each socket of this thread's namespace that is not a connection."""
    sockets = []
    for kind in SOCKETS:
        for line in Path(f"/proc/thread-self/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if kind == "packet" or set(fields[2].partition(":")[0]) == {"0"}:
                sockets.append(f"{kind} {fields[1]}" if kind != "packet" else kind)
    return sorted(sockets)
