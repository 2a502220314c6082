"""The metadata service and the node agent against each other over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import json
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from samovar.agent import report
from samovar.agent.role import InvalidConfig
from samovar.localcloud.metadata.model import Interface, MachineMetadata, Options, Token
from samovar.localcloud.metadata.server import MetadataServer
from samovar.localcloud.sockets import listener
from samovar.localcloud.sockets.connections import BY_MACHINE, Address, Source
from tests.support.node import Node

GOOGLE = {"Metadata-Flavor": "Google"}
INSTANCE = "/computeMetadata/v1/instance"
NETWORK = "enp1"
ROLE = """
templates: [{source: a.conf.j2, target: /etc/a.conf, mode: "0644"}]
check: [grep, -q, "^port [0-9]*$", "%s/etc/a.conf"]
units: [a.service]
on_change: reload
defaults: {port: 80}
"""

MACHINE = MachineMetadata(
    id="epd1",
    name="nginx-1",
    fqdn="nginx-1.ru-central1.internal",
    zone="ru-central1-a",
    folder_id="b1f",
    cloud_id="b1c",
    image_id="fd8",
    created_at="2026-01-02T03:04:05Z",
    interfaces=(Interface("d0:0d:00:00:00:01", "10.30.0.3", "e9b"),),
    attributes={"user-data": "#cloud-config\n", "samovar-role": "a", "samovar-settings": "port: 8080\n"},
    service_account_id="aje",
)


class Cloud:
    """A metadata server on loopback, and the machines that it knows by network and address."""

    def __init__(self) -> None:
        self.machines = {(NETWORK, "127.0.0.1"): MACHINE}
        self.server = MetadataServer(lambda network, address: self.machines.get((network, address)), self._issue)
        self.port = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, network: str = NETWORK) -> int:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port if network == NETWORK else 0))
        port: int = sock.getsockname()[1]
        await self.server.serve(network, sock)
        return port

    def set_attributes(self, **attributes: str) -> None:
        self.machines[NETWORK, "127.0.0.1"] = replace(MACHINE, attributes=dict(MACHINE.attributes) | attributes)

    @staticmethod
    def _issue(machine: MachineMetadata) -> Token:
        return Token(f"t1.{machine.service_account_id}.x", datetime.now(UTC) + timedelta(hours=1))


@pytest_asyncio.fixture
async def cloud() -> AsyncIterator[Cloud]:
    cloud = Cloud()
    cloud.port = await cloud.serve()
    yield cloud
    await cloud.server.close()


@pytest_asyncio.fixture
async def http(cloud: Cloud) -> AsyncIterator[ClientSession]:
    async with ClientSession(cloud.base) as session:
        yield session


async def get(http: ClientSession, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    async with http.get(path, headers=headers) as response:
        return response.status, await response.text()


async def test_googles_form_wants_its_header(http: ClientSession) -> None:
    status, text = await get(http, f"{INSTANCE}/id")
    assert (status, "Metadata-Flavor" in text) == (403, True)
    async with http.get(f"{INSTANCE}/id", headers=GOOGLE) as response:
        assert await response.text() == "epd1"
        assert response.headers["Metadata-Flavor"] == "Google"


async def test_folders_are_listed_with_and_without_a_slash(http: ClientSession) -> None:
    for path in (f"{INSTANCE}/service-accounts", f"{INSTANCE}/service-accounts/"):
        assert await get(http, path, GOOGLE) == (200, "default/")
    assert await get(http, "/computeMetadata/v1/", GOOGLE) == (200, "instance/\nproject/\nyandex/")


@pytest.mark.parametrize("version", ["latest", "2009-04-04", "2021-03-23"])
async def test_amazons_form_answers_in_any_version(http: ClientSession, version: str) -> None:
    assert await get(http, f"/{version}/meta-data/instance-id") == (200, "epd1")
    assert await get(http, f"/{version}/user-data") == (200, "#cloud-config\n")


async def test_a_missing_path_is_404_and_keeps_the_connection_open(cloud: Cloud) -> None:
    """Also the session tokens of Amazon's second version, which cloud-init tries first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", cloud.port)
    try:
        for request in (
            "GET /latest/nothing",
            "GET /nothing",
            "GET /computeMetadata/v1beta1/",
            "GET /latest/meta-data/iam",
        ):
            assert await status_of(reader, writer, request) == (200 if request.endswith("iam") else 404)
        writer.write(b"PUT /latest/api/token HTTP/1.1\r\nHost: m\r\nContent-Length: 0\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"404"
    finally:
        writer.close()


async def status_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: str) -> int:
    writer.write(f"{request} HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\r\n".encode())
    async with asyncio.timeout(1):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")
        )
        await reader.readexactly(length)
    return int(head.split()[1])


async def test_a_machine_is_identified_by_network_and_address(cloud: Cloud, http: ClientSession) -> None:
    cloud.machines["enp2", "127.0.0.1"] = replace(MACHINE, id="epd2")
    port = await cloud.serve("enp2")
    assert await get(http, f"http://127.0.0.1:{port}{INSTANCE}/id", GOOGLE) == (200, "epd2")
    assert await get(http, f"{INSTANCE}/id", GOOGLE) == (200, "epd1")
    del cloud.machines[NETWORK, "127.0.0.1"]
    for path in (f"{INSTANCE}/id", "/latest/meta-data/instance-id"):
        assert (await get(http, path, GOOGLE))[0] == 404


async def test_the_options_and_the_token_over_http(cloud: Cloud, http: ClientSession) -> None:
    path = f"{INSTANCE}/service-accounts/default/token"
    status, text = await get(http, path, GOOGLE)
    assert (status, json.loads(text)["access_token"]) == (200, "t1.aje.x")
    cloud.machines[NETWORK, "127.0.0.1"] = replace(MACHINE, options=Options(gce_token=False, aws_endpoint=False))
    assert (await get(http, path, GOOGLE))[0] == 400
    assert (await get(http, "/latest/user-data"))[0] == 400


async def test_a_wait_ends_with_the_change(cloud: Cloud, http: ClientSession) -> None:
    params = {"recursive": "true", "wait_for_change": "true", "timeout_sec": "20"}
    asyncio.get_running_loop().call_later(0.7, lambda: cloud.set_attributes(news="yes"))
    began = time.monotonic()
    async with http.get(f"{INSTANCE}/attributes/", params=params, headers=GOOGLE) as response:
        assert (await response.json())["news"] == "yes"
        etag = response.headers["ETag"]
    assert 0.7 <= time.monotonic() - began < 5
    async with http.get(f"{INSTANCE}/attributes/", params=params | {"last_etag": "other"}, headers=GOOGLE) as response:
        assert response.headers["ETag"] == etag


async def test_a_wait_without_a_change_ends_with_its_time(http: ClientSession) -> None:
    began = time.monotonic()
    status, text = await get(http, f"{INSTANCE}/id?wait_for_change=true&timeout_sec=1", GOOGLE)
    assert (status, text) == (200, "epd1")
    assert 1 <= time.monotonic() - began < 3


async def test_a_query_that_makes_no_sense_is_a_bad_request(http: ClientSession) -> None:
    assert await get(http, f"{INSTANCE}/id?alt=xml", GOOGLE) == (400, "alt=xml: json or text\n")


async def test_a_removed_network_does_not_wait_for_its_clients(cloud: Cloud) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", cloud.port)
    writer.write(
        f"GET {INSTANCE}/id?wait_for_change=true HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\r\n".encode()
    )
    await asyncio.sleep(0.1)
    async with asyncio.timeout(2):
        await cloud.server.stop(NETWORK)
        await cloud.server.stop(NETWORK)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", cloud.port)
    writer.close()


async def test_a_machine_that_waits_for_too_many_changes_keeps_no_other_out(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wait takes a connection. The machines are two addresses of loopback."""
    monkeypatch.setattr(listener, "source_of", by_address)
    cloud.machines[NETWORK, "127.0.0.2"] = replace(MACHINE, id="epd2")
    waiting = [await begin_wait(cloud) for _ in range(BY_MACHINE)]
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await answer_of(await begin_wait(cloud))
    other = await asyncio.open_connection("127.0.0.1", cloud.port, local_addr=("127.0.0.2", 0))
    other[1].write(f"GET {INSTANCE}/id HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\r\n".encode())
    assert await answer_of(other) == "epd2"
    cloud.set_attributes(news="yes")
    assert [json.loads(await answer_of(each))["news"] for each in waiting] == ["yes"] * BY_MACHINE


def by_address(_local: Address, peer: Address, network: str) -> Source:
    return Source(f"{network} {peer[0]}", BY_MACHINE)


async def begin_wait(cloud: Cloud) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", cloud.port)
    path = f"{INSTANCE}/attributes/?recursive=true&wait_for_change=true&timeout_sec=600"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: m\r\nMetadata-Flavor: Google\r\n\r\n".encode())
    return reader, writer


async def answer_of(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> str:
    """The body of a response."""
    reader, writer = streams
    try:
        async with asyncio.timeout(60):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            return (await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))).decode()
    finally:
        writer.close()


@pytest.mark.parametrize("turns", range(1, 4))
async def test_a_network_that_is_cut_short_as_it_comes_up_leaves_no_socket(cloud: Cloud, turns: int) -> None:
    """The daemon ends after that many turns of its loop, in the middle of the step that serves the network."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    serving = asyncio.create_task(cloud.server.serve("enp9", sock))
    for _ in range(turns):
        await asyncio.sleep(0)
    serving.cancel()
    await asyncio.wait((serving,))
    await cloud.server.close()
    assert sock.fileno() == -1


async def test_random_bytes_are_harmless_and_not_logged(
    cloud: Cloud, http: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(4)  # noqa: S311 - noise, the same in every run
    for size in (1, 3, 100, 9_000, 70_000):
        for head in (b"", b"GET /", b"GET /latest HTTP/1.1\r\n", b"POST /%ff\r\n\r\n", b"\x16\x03\x01"):
            _, writer = await asyncio.open_connection("127.0.0.1", cloud.port)
            writer.write(head + chance.randbytes(size) + b"\r\n\r\n" * chance.randrange(2))
            await asyncio.sleep(0)
            writer.close()
    assert await get(http, f"{INSTANCE}/id", GOOGLE) == (200, "epd1")
    assert [record for record in caplog.records if record.levelname in {"ERROR", "WARNING"}] == []


def make_node(root: Path, base: str) -> Node:
    return Node(root, base, ROLE % root, {"a.conf.j2": "port {{ settings.port }}\n"})


@pytest.fixture
def node(cloud: Cloud, tmp_path: Path) -> Node:
    return make_node(tmp_path, cloud.base)


async def test_the_agent_configures_its_machine_and_applies_a_change(cloud: Cloud, node: Node) -> None:
    assert await node.step() == "role a: configured"
    assert node.read("etc/a.conf") == "port 8080\n"
    assert [command[0] for command in node.ran] == ["grep", "systemctl"]
    asyncio.get_running_loop().call_later(0.3, lambda: cloud.set_attributes(**{"samovar-settings": "port: 9090\n"}))
    assert await node.step() == "role a: configured"
    assert node.read("etc/a.conf") == "port 9090\n"
    assert node.ran[-1] == ["systemctl", "--no-block", "try-reload-or-restart", "a.service"]


async def test_an_agent_that_starts_again_changes_nothing(cloud: Cloud, node: Node) -> None:
    await node.step()
    again = make_node(node.root, cloud.base)
    assert await again.step() == report.STARTED
    assert await again.step() == "role a: nothing to change"
    assert again.ran == []


async def test_other_metadata_is_no_change_for_the_agent(cloud: Cloud, node: Node) -> None:
    await node.step()
    cloud.set_attributes(other="news")
    loop = asyncio.get_running_loop()
    loop.call_later(1.0, lambda: cloud.set_attributes(other="news", **{"samovar-settings": "port: 1\n"}))
    await node.step()
    assert node.read("etc/a.conf") == "port 1\n"


async def test_a_change_that_the_check_refuses_leaves_the_old_file(cloud: Cloud, node: Node) -> None:
    """The machine serves with it, and the agent goes on."""
    await node.step()
    node.write("usr/share/samovar/templates/a.conf.j2", "port {{ settings.port }} and more\n")
    cloud.set_attributes(**{"samovar-settings": "port: 9090\n"})
    assert re.match(rf"{report.UNUSABLE}: grep .* ended with 1.*; {report.KEPT}", await node.step())
    assert node.read("etc/a.conf") == "port 8080\n"
    assert [command[0] for command in node.ran] == ["grep", "systemctl", "grep"]


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ({"samovar-settings": "prot: 1\n"}, "settings.prot: unknown; the role knows port"),
        ({"samovar-role": "b"}, "samovar-role: b: this image has no /usr/lib/samovar/roles/b.yaml"),
        ({"samovar-role": "../a"}, r"samovar-role: \.\./a"),
    ],
)
async def test_a_wrong_setting_is_named(cloud: Cloud, node: Node, attributes: dict[str, str], what: str) -> None:
    cloud.set_attributes(**attributes)
    with pytest.raises(InvalidConfig, match=f"^{what}"):
        await node.step()
    assert not (node.root / "etc").exists()


async def test_without_a_role_a_machine_is_bare_and_ready(cloud: Cloud, node: Node) -> None:
    cloud.machines[NETWORK, "127.0.0.1"] = replace(MACHINE, attributes={})
    assert "bare machine" in await node.step()
    cloud.set_attributes()
    assert await node.step() == "role a: configured"


async def test_the_agent_waits_for_the_metadata_service(
    cloud: Cloud, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    await cloud.server.stop(NETWORK)
    first = asyncio.create_task(node.step())
    await asyncio.sleep(1.5)
    assert not first.done()
    output = capsys.readouterr().out
    assert output.startswith(f"samovar: waiting for the metadata service at 127.0.0.1:{cloud.port}: [Errno 111]")
    await cloud.serve()
    assert await first == "role a: configured"


async def test_the_agent_waits_until_the_service_knows_its_machine(
    cloud: Cloud, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.machines.clear()
    first = asyncio.create_task(node.step())
    await asyncio.sleep(1.5)
    assert "it answers 404 not found" in capsys.readouterr().out
    cloud.set_attributes()
    assert await first == "role a: configured"


def test_the_agent_reports_its_wait_to_systemd(tmp_path: Path) -> None:
    """The package under its name on a node, in a network namespace of its own that has no network at all."""
    shutil.copytree(Path(report.__file__).parent, tmp_path / "samovar_agent")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as received:
        received.bind(str(tmp_path / "notify"))
        received.settimeout(20)
        environment = {"PYTHONPATH": str(tmp_path), "NOTIFY_SOCKET": str(tmp_path / "notify")}
        agent = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-m", "samovar_agent"], env=environment, stdout=subprocess.PIPE
        )
        try:
            status = received.recv(1000).decode()
        finally:
            agent.kill()
            output, _ = agent.communicate()
    waiting = "waiting for the metadata service at 169.254.169.254: [Errno 101] Network is unreachable"
    assert status.startswith(f"STATUS={waiting}")
    assert output.decode().startswith(f"samovar: {waiting}")
