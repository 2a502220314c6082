"""The way out of machines on the real kernel: what they reach beyond their network, and when they reach nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import pytest_asyncio
from yandex.cloud.compute.v1 import zone_service_pb2
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target
from yandex.cloud.vpc.v1.gateway_pb2 import Gateway
from yandex.cloud.vpc.v1.network_pb2 import Network as VpcNetwork
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet as VpcSubnet

from samovar.core import proc
from samovar.core.process import run_async
from samovar.localcloud.api.pipeline import Api
from samovar.localcloud.api.pki import Pki, ensure_pki
from samovar.localcloud.api.rest_server import make_rest_server
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.compute.zones.rpc import ZoneService
from samovar.localcloud.endpoint.controller import InternalApi
from samovar.localcloud.iam.authorization import Authorizer
from samovar.localcloud.network import egress, server_process
from samovar.localcloud.network.kernel_fabric import KernelFabric
from samovar.localcloud.network.model import Direction, Mirror, Network, Rule, SecurityGroup
from samovar.localcloud.network.names import API, API_PORT
from samovar.localcloud.sockets.connections import BY_MACHINE
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.networks.controller import NetworkController
from samovar.localcloud.vpc.networks.model import INDEX
from tests.support.network_lab import (
    ANSWER_TIMEOUT,
    INTERNET,
    SILENCE,
    FixedMirrors,
    NetworkLab,
    isolated_host,
    lease,
    listeners,
    machine,
    network,
    network_lab,
    resolve,
    silent,
)
from tests.support.processes import privileges
from tests.support.wait import wait_until


class NoTargets:
    def serves(self, _balancer_id: str, _target: Target) -> bool:
        return False

    def answers(self, _target: Target) -> bool:
        return False


class Inside:
    """A network of the store on the real kernel, with one machine in it, and the API that it may see."""

    def __init__(self, lab: NetworkLab, folder: Path) -> None:
        self.lab = lab
        self.store = Store(folder / "cloud.sqlite")
        self.pki: Pki = ensure_pki(folder)
        self.tokens = Tokens(folder / "token-secret")
        self.networks = NetworkController(self.store, lab.fabric, NoTargets())
        self.api = InternalApi(self.networks)
        self.store.put(VpcNetwork(id="net-a"))
        self.store.note("net-a", INDEX, 1)
        self.store.put(Gateway(id="gateway"))
        self.store.put(RouteTable(id="table", network_id="net-a"))
        self.store.put(self.subnet())
        self.store.note("subnet-a", INDEX, 1)
        self.store.put(self.instance())

    def subnet(self) -> VpcSubnet:
        return VpcSubnet(
            id="subnet-a", network_id="net-a", route_table_id="table", v4_cidr_blocks=["10.30.0.0/24"], zone_id="zone-a"
        )

    def instance(self, public: str = "", number: int = 10) -> Instance:
        nic_of = machine(number)
        created = Instance(id=f"m{number}", fqdn=f"host-{number}.internal", status=Instance.RUNNING)
        nic = created.network_interfaces.add(subnet_id="subnet-a", mac_address=nic_of.mac)
        nic.primary_v4_address.address = str(nic_of.address)
        if public:
            nic.primary_v4_address.one_to_one_nat.address = public
        return created

    def route(self, destination: str) -> None:
        table = RouteTable(id="table", network_id="net-a")
        table.static_routes.add(destination_prefix=destination, gateway_id="gateway")
        self.store.put(table)

    async def step(self) -> None:
        await self.networks.reconcile()
        await self.api.reconcile()

    def hold(self, machine_id: str, stack: ExitStack, first_bytes: bytes = b"") -> None:
        """Open a connection of a machine that stays without a request; refused ones count as well."""
        connection = stack.enter_context(self.lab.inside(machine_id))
        connection.settimeout(SILENCE)
        with suppress(OSError):
            connection.connect((str(API), API_PORT))
            connection.sendall(first_bytes)

    def get(self, path: str, timeout: float = ANSWER_TIMEOUT, machine_id: str = "m10") -> str:
        """The status line that a machine is answered with by a server that proves to be api.internal."""
        with self.lab.inside(machine_id) as connection:
            connection.settimeout(timeout)
            trust = ssl.create_default_context(cafile=str(self.pki.ca))
            # It is wrapped before it connects: what is reset in between would never be closed.
            with trust.wrap_socket(connection, server_hostname="api.internal") as secure:
                secure.connect((str(API), API_PORT))
                secure.sendall(f"GET {path} HTTP/1.1\r\nHost: api.internal\r\nConnection: close\r\n\r\n".encode())
                return secure.recv(4096).partition(b"\r\n")[0].decode()

    async def is_cut_off(self) -> bool:
        return await asyncio.to_thread(silent, lambda: self.get("/", SILENCE))


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest_asyncio.fixture
async def inside(lab: NetworkLab, tmp_path: Path) -> AsyncIterator[Inside]:
    folder = tmp_path / "home"
    folder.mkdir()
    created = Inside(lab, folder)
    services = {zone_service_pb2.DESCRIPTOR.services_by_name["ZoneService"]: ZoneService()}
    server = await make_rest_server(
        Api(created.store, created.tokens, Authorizer(created.store), services), (), created.pki
    )
    created.api.answer_by(server)
    yield created
    await created.api.close()
    await server.close()
    created.store.close()


async def test_a_machine_reaches_the_api_by_a_gateway_or_by_its_public_address_and_not_without(inside: Inside) -> None:
    await inside.step()
    await inside.lab.boot(machine(10))
    assert await inside.is_cut_off()
    inside.route("10.0.0.0/8")
    await inside.step()
    assert await inside.is_cut_off()
    inside.route("0.0.0.0/0")
    await inside.step()
    assert await asyncio.to_thread(inside.get, "/compute/v1/zones") == "HTTP/1.1 401 Unauthorized"
    inside.route("10.0.0.0/8")
    inside.store.put(inside.instance(public=str(inside.lab.public(9))))
    await inside.step()
    assert await asyncio.to_thread(inside.get, "/compute/v1/zones") == "HTTP/1.1 401 Unauthorized"


@pytest.mark.parametrize("first_bytes", [b"", b"\x16\x03\x01\x02", bytes(range(256))])
async def test_a_machine_that_holds_many_connections_to_the_api_keeps_no_other_out(
    inside: Inside, first_bytes: bytes
) -> None:
    """It has as many connections as a machine may have, each silent, in the middle of a handshake, or with nonsense."""
    inside.route("0.0.0.0/0")
    inside.store.put(inside.instance(number=11))
    await inside.step()
    for number in (10, 11):
        await inside.lab.boot(machine(number))
    with ExitStack() as stack:
        before = descriptors()
        for _ in range(4 * BY_MACHINE):
            await asyncio.to_thread(inside.hold, "m11", stack, first_bytes)
        ours = descriptors() - before - 4 * BY_MACHINE
        assert ours <= BY_MACHINE + 1
        assert await asyncio.to_thread(inside.get, "/compute/v1/zones") == "HTTP/1.1 401 Unauthorized"
    again = partial(inside.get, "/compute/v1/zones", machine_id="m11")
    answer = await asyncio.to_thread(wait_until, "an answer, once what it held has ended", again, errors=(OSError,))
    assert answer == "HTTP/1.1 401 Unauthorized"


async def test_the_api_ends_with_its_network(inside: Inside) -> None:
    await inside.step()
    inside.store.delete(VpcNetwork, "net-a")
    await inside.step()
    assert await inside.lab.leftovers() == []


async def test_the_api_has_its_name_in_every_network(lab: NetworkLab) -> None:
    await lab.fabric.apply(network(10))
    await lab.boot(machine(10))
    with lab.inside("m10", socket.SOCK_DGRAM) as client:
        assert resolve(client, "api.internal") == (0, [str(API)])


MIRROR = Mirror("mirror.example.com", 80, (IPv4Address(INTERNET[0]),))


@pytest_asyncio.fixture
async def abroad(tmp_path: Path) -> AsyncIterator[NetworkLab]:
    async with isolated_host(22, 80), network_lab(tmp_path, MIRROR) as created:
        yield created


def connected(*egress: int) -> Network:
    net = network(10, 11)
    return replace(net, nics=tuple(replace(nic, egress=int(nic.machine_id[1:]) in egress) for nic in net.nics))


async def greeted(lab: NetworkLab, machine_id: str, address: str, port: int = 80) -> bool:
    """Return whether the machine gets an answer."""

    def ask() -> None:
        with lab.inside(machine_id) as connection:
            connection.settimeout(2 * SILENCE)
            connection.connect((address, port))
            assert connection.recv(10) == b"hello"

    return not await asyncio.to_thread(silent, ask)


async def test_only_mirrors_are_reached_and_only_with_egress(abroad: NetworkLab) -> None:
    mirror, other = INTERNET
    net = connected(10)
    await abroad.fabric.apply(net)
    await abroad.boot(*net.nics)
    with abroad.inside("m10", socket.SOCK_DGRAM) as client:
        assert await asyncio.to_thread(resolve, client, "mirror.example.com") == (0, [mirror])
    assert await greeted(abroad, "m10", mirror)
    assert not await greeted(abroad, "m10", mirror, 22)
    assert not await greeted(abroad, "m10", other)
    assert not await greeted(abroad, "m10", str(egress.GATEWAY))
    assert not await greeted(abroad, "m11", mirror)
    await abroad.fabric.apply(connected(11))
    assert await greeted(abroad, "m11", mirror)
    assert not await greeted(abroad, "m10", mirror)


async def test_a_mirror_is_reached_as_far_as_security_groups_let_a_machine_out(abroad: NetworkLab) -> None:
    """Machines of an environment are let out to 443 alone, and this mirror is at 80."""
    net = connected(10, 11)
    world = (IPv4Network("0.0.0.0/0"),)
    https, everything = Rule(Direction.EGRESS, world, 6, (443, 443)), Rule(Direction.EGRESS, world)
    groups = (SecurityGroup((machine(10).address,), (https,)), SecurityGroup((machine(11).address,), (everything,)))
    await abroad.fabric.apply(replace(net, security_groups=groups))
    await abroad.boot(*net.nics)
    assert not await greeted(abroad, "m10", INTERNET[0])
    assert await greeted(abroad, "m11", INTERNET[0])


async def test_egress_opens_no_port_on_the_host(abroad: NetworkLab) -> None:
    before = listeners()
    net = connected(10)
    await abroad.fabric.apply(connected())
    assert listeners() == before
    await abroad.fabric.apply(net)
    await abroad.boot(*net.nics)
    assert await greeted(abroad, "m10", INTERNET[0])
    assert listeners() == before
    assert any(line.startswith("tcp 00000000:0050") for line in before)
    created = abroad.fabric.socket_in(net.id, socket.AF_INET, socket.SOCK_STREAM)
    with created:
        created.settimeout(SILENCE)
        assert silent(lambda: created.connect((INTERNET[0], 80)))


async def test_egress_runs_unprivileged_under_seccomp(abroad: NetworkLab) -> None:
    net = connected(10)
    await abroad.fabric.apply(net)
    await abroad.boot(*net.nics)
    assert await greeted(abroad, "m10", INTERNET[0])
    running = privileges(int((abroad.folder / net.id / egress.PID).read_text()))
    assert running.users == {server_process.PASTA_UID}
    assert running.groups == {server_process.GROUP_ID}
    assert running.capabilities <= {"sys_admin"}
    assert running.filtered


async def test_egress_ends_with_its_last_machine_and_restarts(
    abroad: NetworkLab,
) -> None:
    net = connected(10)
    await abroad.fabric.apply(net)
    await abroad.boot(*net.nics)
    pid = int((abroad.folder / net.id / egress.PID).read_text())
    await asyncio.to_thread(proc.terminate, pid)
    assert not await greeted(abroad, "m10", INTERNET[0])
    await abroad.fabric.apply(net)
    assert await greeted(abroad, "m10", INTERNET[0])
    await KernelFabric(abroad.number, abroad.folder, FixedMirrors(MIRROR)).apply(net)
    again = int((abroad.folder / net.id / egress.PID).read_text())
    await abroad.fabric.apply(connected())
    assert not egress._leads_into(again, f"samovar-{abroad.number}-1")
    assert not await greeted(abroad, "m10", INTERNET[0])


async def test_a_host_without_a_network_gives_no_egress(abroad: NetworkLab) -> None:
    await run_async(("ip", "route", "del", "default"))
    net = connected(10)
    await abroad.fabric.apply(net)
    await abroad.boot(*net.nics)
    await abroad.fabric.apply(net)
    assert not await greeted(abroad, "m10", INTERNET[0])
    assert (await lease(abroad, machine(10)))["address"] == machine(10).address.packed


async def test_egress_without_its_folder_is_removed(abroad: NetworkLab, tmp_path: Path) -> None:
    await abroad.fabric.apply(connected(10))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    await KernelFabric(abroad.number, elsewhere).close()
    assert await abroad.leftovers() == []
