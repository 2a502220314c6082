"""The node agent against the local cloud's own Lockbox and metadata service, over real TLS and HTTP on loopback."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from yandex.cloud.access.access_pb2 import SetAccessBindingsRequest
from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.secret_pb2 import Secret
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub

from samovar.agent.errors import Away, Wrong
from samovar.cloudinit.metadata import Api, instance_metadata
from samovar.localcloud.metadata.model import Interface, MachineMetadata, Token
from samovar.localcloud.metadata.server import MetadataServer
from tests.support.calls import account, binding
from tests.support.node import Node
from tests.support.simulated import RunningCloud

PHRASE, CERTIFICATE = "correct horse", {"cert": "-----BEGIN CERT-----", "key": "-----BEGIN KEY-----\n"}
ROLE = """
templates:
  - {source: peers.j2, target: /etc/peers, units: [proxy.service]}
  - {source: secret.j2, target: /etc/secret, mode: "0440", owner: "nobody:nogroup", units: [app.service]}
check: [grep, -q, "%s", "%s/etc/secret"]
units: [app.service, proxy.service]
peers: [bingo]
secrets: [phrase, certificate]
"""
TEMPLATES = {
    "peers.j2": "{% for peer in peers.bingo %}{{ peer.name }} {{ peer.address }};{% endfor %}",
    "secret.j2": "{{ secrets.phrase }}{% if 'certificate' in secrets %}|{{ secrets.certificate.key }}{% endif %}",
}


class World:
    """Everything outside a node: metadata, Lockbox, and a name server that can be away."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.cloud = cloud
        self.account, _ = account(cloud)
        self.secrets = SecretServiceStub(cloud.channel())
        self.api = Api(f"https://{cloud.endpoint.rest}", Path(cloud.endpoint.ca).read_text())
        self.ids = {"phrase": self.create("phrase", {"phrase": PHRASE})}
        self.names: dict[str, str] = {}
        self.name_server = True
        self.lifetime = 3600
        self.machine = MachineMetadata(
            id="epd1",
            name="dev-bingo-2",
            fqdn="bingo-2.ru-central1.internal",
            zone="ru-central1-a",
            folder_id="b1f",
            cloud_id="b1c",
            image_id="fd8",
            created_at="2026-01-02T03:04:05Z",
            interfaces=(Interface("d0:0d:00:00:00:01", "10.30.0.3", "e9b"),),
            service_account_id=self.account,
        )
        self.tell()

    def tell(self, peers: int = 3) -> None:
        """Writes the machine's metadata as the tool does."""
        attributes = instance_metadata("a", {}, self.api, peers={"bingo": peers}, secrets=self.ids)
        self.machine = replace(self.machine, attributes=attributes)

    def create(self, name: str, entries: dict[str, str]) -> str:
        changes = [rpc.PayloadEntryChange(key=key, text_value=text) for key, text in entries.items()]
        request = rpc.CreateSecretRequest(
            folder_id=self.cloud.endpoint.folder_id, name=name, version_payload_entries=changes
        )
        return Secret.FromString(self.secrets.Create(request).response.value).id

    def change(self, name: str, **entries: str) -> None:
        changes = [rpc.PayloadEntryChange(key=key, text_value=text) for key, text in entries.items()]
        self.secrets.AddVersion(rpc.AddVersionRequest(secret_id=self.ids[name], payload_entries=changes))

    def grant(self) -> None:
        bindings = [binding("lockbox.payloadViewer", self.account)]
        for secret_id in self.ids.values():
            self.secrets.SetAccessBindings(SetAccessBindingsRequest(resource_id=secret_id, access_bindings=bindings))

    def lookup(self, fqdn: str) -> str | None:
        if not self.name_server:
            raise Away("the name server: it naps")
        return self.names.get(fqdn.removesuffix(".ru-central1.internal"))

    def issue(self, machine: MachineMetadata) -> Token:
        assert machine.service_account_id
        token = self.cloud.cloud.api._tokens.issue(machine.service_account_id, self.lifetime)
        return Token(token.text, datetime.now(UTC) + timedelta(hours=1))


@pytest.fixture
def world(cloud: RunningCloud) -> World:
    return World(cloud)


@pytest_asyncio.fixture
async def node(world: World, tmp_path: Path) -> AsyncIterator[Node]:
    server = MetadataServer(lambda _, __: world.machine, world.issue)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{sock.getsockname()[1]}"
    await server.serve("enp1", sock)
    root = tmp_path / "node"
    yield Node(root, base, ROLE % ("", root), TEMPLATES, lookup=world.lookup)
    await server.close()


async def heard(capsys: pytest.CaptureFixture[str], what: str) -> str:
    """Waits until the agent says `what`; returns all that it said."""
    said = ""
    async with asyncio.timeout(20):
        while what not in said:
            await asyncio.sleep(0.05)
            said += capsys.readouterr().out
    return said


async def waiting(node: Node, capsys: pytest.CaptureFixture[str], what: str, mend: Callable[[], None]) -> None:
    """The agent waits and says what for; once it is mended, it goes on."""
    step = asyncio.create_task(node.step())
    await heard(capsys, what)
    assert not step.done()
    mend()
    assert await step == "role a: configured"


async def test_secrets_arrive_with_the_modes_and_owners_of_the_role(world: World, node: Node) -> None:
    world.ids["certificate"] = world.create("certificate", CERTIFICATE)
    world.grant()
    world.tell()
    assert await node.step() == "role a: configured"
    assert node.read("etc/secret") == f"{PHRASE}|{CERTIFICATE['key']}"
    file = node.root / "etc/secret"
    assert (stat.S_IMODE(file.stat().st_mode), file.owner(), file.group()) == (0o440, "nobody", "nogroup")


async def test_a_new_version_is_applied_to_the_units_that_it_concerns(world: World, node: Node) -> None:
    world.grant()
    await node.step()
    world.change("phrase", phrase="battery staple")
    assert await node.step() == "role a: configured"
    assert node.read("etc/secret") == "battery staple"
    assert node.ran[-1] == ["systemctl", "--no-block", "try-restart", "app.service"]
    file = node.root / "etc/secret"
    assert (stat.S_IMODE(file.stat().st_mode), file.owner(), file.group()) == (0o440, "nobody", "nogroup")


async def test_peers_come_and_go_and_the_rest_is_left_alone(world: World, node: Node) -> None:
    world.grant()
    world.names = {"bingo-1": "10.30.0.9"}
    await node.step()
    assert node.read("etc/peers") == "bingo-1 10.30.0.9;bingo-2 10.30.0.3;"
    world.names = {"bingo-3": "10.30.0.4"}
    await node.step()
    assert node.read("etc/peers") == "bingo-2 10.30.0.3;bingo-3 10.30.0.4;"
    assert node.ran[-1] == ["systemctl", "--no-block", "try-restart", "proxy.service"]
    world.tell(peers=1)
    await node.step()
    assert node.read("etc/peers") == ""


async def test_while_the_name_server_is_away_peers_stay(
    world: World, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    world.grant()
    world.names = {"bingo-1": "10.30.0.9"}
    await node.step()
    world.name_server = False
    step = asyncio.create_task(node.step())
    await heard(capsys, "going on with what is known, waiting for the name server: it naps")
    world.names = {"bingo-3": "10.30.0.4"}
    assert not step.done()
    world.name_server = True
    await step
    assert node.read("etc/peers") == "bingo-2 10.30.0.3;bingo-3 10.30.0.4;"


async def test_a_missing_right_is_named_until_it_is_given(
    world: World, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = "this machine's service account lacks the role lockbox.payloadViewer on it"
    await waiting(
        node, capsys, f"{world.ids['phrase']}) from Lockbox at {world.cloud.endpoint.rest}: {lacking}", world.grant
    )


async def test_a_token_that_is_not_taken_any_more_is_asked_for_anew(
    world: World, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    world.grant()
    world.lifetime = -1

    def mend() -> None:
        world.lifetime = 3600

    await waiting(node, capsys, "it answers 401", mend)


async def test_a_machine_without_an_account_says_so(
    world: World, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    world.grant()
    whole = world.machine
    world.machine = replace(whole, service_account_id=None)

    def mend() -> None:
        world.machine = whole

    await waiting(node, capsys, "waiting for a token of this machine's service account: the metadata service", mend)


async def test_lockbox_away_at_boot_is_waited_for(world: World, node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    world.grant()
    right = world.api
    with socket.socket() as closed:  # bound and not listening: refused
        closed.bind(("127.0.0.1", 0))
        away = f"127.0.0.1:{closed.getsockname()[1]}"
        world.api = replace(right, endpoint=f"https://{away}")
        world.tell()

        def mend() -> None:
            world.api = right
            world.tell()

        await waiting(node, capsys, f"from Lockbox at {away}: [Errno 111]", mend)


async def test_an_authority_that_is_not_trusted_gives_no_secret(
    world: World, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    world.grant()
    right = world.api

    def mend() -> None:
        world.api = right
        world.tell()

    world.machine = replace(
        world.machine,
        attributes=dict(world.machine.attributes) | {"samovar-api": yaml.safe_dump({"endpoint": right.endpoint})},
    )
    await waiting(node, capsys, "CERTIFICATE_VERIFY_FAILED", mend)


async def test_lockbox_that_refuses_a_running_machine_leaves_it_as_it_is(
    world: World, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    world.grant()
    await node.step()
    world.secrets.Deactivate(rpc.DeactivateSecretRequest(secret_id=world.ids["phrase"]))
    world.names = {"bingo-1": "10.30.0.9"}
    await node.step()
    assert node.read("etc/peers") == "bingo-1 10.30.0.9;bingo-2 10.30.0.3;"
    await_step = asyncio.create_task(node.step())
    await heard(capsys, f"going on with what is known, waiting for secret phrase ({world.ids['phrase']})")
    assert node.read("etc/secret") == PHRASE
    world.secrets.Activate(rpc.ActivateSecretRequest(secret_id=world.ids["phrase"]))
    await heard(capsys, "answers again")
    world.change("phrase", phrase="another")
    await await_step
    assert node.read("etc/secret") == "another"


async def test_no_secret_is_ever_said(world: World, node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    world.grant()
    node.write("usr/lib/samovar/roles/a.yaml", ROLE.replace('[grep, -q, "%s"', '[sh, -c, "cat $0; exit 1"') % node.root)
    with pytest.raises(Wrong, match=r"ended with 1: \*\*\*") as wrong:
        await node.step()
    assert wrong.value.__cause__ is None
    assert PHRASE not in str(wrong.value) + capsys.readouterr().out
    assert not (node.root / "etc/secret").exists()
