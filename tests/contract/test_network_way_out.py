"""The way out of machines on the real kernel: what they reach beyond their network, and when they reach nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from yandex.cloud.compute.v1 import zone_service_pb2
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target
from yandex.cloud.vpc.v1.gateway_pb2 import Gateway
from yandex.cloud.vpc.v1.network_pb2 import Network as VpcNetwork
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet as VpcSubnet

from localcloud.api.pipeline import Api
from localcloud.api.pki import Pki, ensure_pki
from localcloud.api.rest_server import make_rest_server
from localcloud.api.tokens import Tokens
from localcloud.control.inner_api import InnerApi
from localcloud.control.networks import Networks
from localcloud.network.names import API, API_PORT
from localcloud.services.access import Access
from localcloud.services.catalogue import ZoneService
from localcloud.services.vpc import INDEX
from localcloud.store.store import Store
from tests.support.lab import PATIENCE, SILENCE, Lab, machine, network, resolve, silent


class Nobody:
    def serves(self, _balancer_id: str, _target: Target) -> bool:
        return False


class Inside:
    """A network of the store on the real kernel, with one machine in it, and the API that it may see."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.store = Store(folder / "cloud.sqlite")
        self.pki: Pki = ensure_pki(folder)
        self.tokens = Tokens(folder / "token-secret")
        self.networks = Networks(self.store, lab.fabric, Nobody())
        self.api = InnerApi(lab.fabric, self.networks)
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

    def instance(self, public: str = "") -> Instance:
        made = Instance(id="m10", fqdn="host-10.internal", status=Instance.RUNNING)
        nic = made.network_interfaces.add(subnet_id="subnet-a", mac_address=machine(10).mac)
        nic.primary_v4_address.address = str(machine(10).address)
        if public:
            nic.primary_v4_address.one_to_one_nat.address = public
        return made

    def route(self, destination: str) -> None:
        table = RouteTable(id="table", network_id="net-a")
        table.static_routes.add(destination_prefix=destination, gateway_id="gateway")
        self.store.put(table)

    async def step(self) -> None:
        await self.networks.step()
        await self.api.step()

    def get(self, path: str, timeout: float = PATIENCE) -> str:
        """The status line that the machine is answered with by a server that proves to be api.internal."""
        with self.lab.inside("m10") as connection:
            connection.settimeout(timeout)
            connection.connect((str(API), API_PORT))
            trust = ssl.create_default_context(cafile=str(self.pki.ca))
            with trust.wrap_socket(connection, server_hostname="api.internal") as secure:
                secure.sendall(f"GET {path} HTTP/1.1\r\nHost: api.internal\r\nConnection: close\r\n\r\n".encode())
                return secure.recv(4096).partition(b"\r\n")[0].decode()

    async def is_cut_off(self) -> bool:
        return await asyncio.to_thread(silent, lambda: self.get("/", SILENCE))


@pytest_asyncio.fixture
async def inside(lab: Lab, tmp_path: Path) -> AsyncIterator[Inside]:
    folder = tmp_path / "home"
    folder.mkdir()
    made = Inside(lab, folder)
    services = {zone_service_pb2.DESCRIPTOR.services_by_name["ZoneService"]: ZoneService()}
    server = await make_rest_server(Api(made.store, made.tokens, Access(made.store), services), (), made.pki)
    made.api.answer_by(server)
    yield made
    await made.api.close()
    await server.close()
    made.store.close()


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


async def test_the_api_ends_with_its_network(inside: Inside) -> None:
    await inside.step()
    inside.store.delete(VpcNetwork, "net-a")
    await inside.step()
    assert await inside.lab.left() == []


async def test_the_api_has_its_name_in_every_network(lab: Lab) -> None:
    await lab.fabric.apply(network(10))
    await lab.boot(machine(10))
    with lab.inside("m10", socket.SOCK_DGRAM) as client:
        assert resolve(client, "api.internal") == (0, [str(API)])
