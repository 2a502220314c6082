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

from samovar.agent.clients import Unavailable
from samovar.agent.role import InvalidConfig
from samovar.cloudinit.metadata import Api, instance_metadata
from samovar.core.waiting import Pending, wait_for_async
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
upstreams: {app: required}
secrets: {phrase: required, certificate: optional}
"""
TEMPLATES = {
    "peers.j2": "{% for peer in upstreams.app.machines %}{{ peer.name }} {{ peer.address }};{% endfor %}",
    "secret.j2": "{{ secrets.phrase }}{% if 'certificate' in secrets %}|{{ secrets.certificate.key }}{% endif %}",
}


class Surroundings:
    """Everything outside a node: metadata, Lockbox, and a name server that can be unavailable."""

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
        self.publish_metadata()

    def publish_metadata(self, peers: int = 3) -> None:
        """Write the machine's metadata as the tool does."""
        attributes = instance_metadata(
            "a", {}, self.api, upstreams={"app": {"group": "bingo", "machines": peers}}, secrets=self.ids
        )
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
            raise Unavailable("the name server: no answer")
        return self.names.get(fqdn.removesuffix(".ru-central1.internal"))

    def issue(self, machine: MachineMetadata) -> Token:
        assert machine.service_account_id
        token = self.cloud.cloud.api._tokens.issue(machine.service_account_id, self.lifetime)
        return Token(token.text, datetime.now(UTC) + timedelta(hours=1))


@pytest.fixture
def world(cloud: RunningCloud) -> Surroundings:
    return Surroundings(cloud)


@pytest_asyncio.fixture
async def node(world: Surroundings, tmp_path: Path) -> AsyncIterator[Node]:
    server = MetadataServer(lambda _, __: world.machine, world.issue)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{sock.getsockname()[1]}"
    await server.serve("enp1", sock)
    root = tmp_path / "node"
    yield Node(root, base, ROLE % ("", root), TEMPLATES, lookup=world.lookup)
    await server.close()


async def wait_for_output(capsys: pytest.CaptureFixture[str], what: str) -> str:
    """Wait until the agent reports `what`; return its output."""
    output = ""

    def reported() -> str | Pending:
        nonlocal output
        output += capsys.readouterr().out
        return output if what in output else Pending(output)

    return await wait_for_async(what, reported, timeout=60, interval=0.05, ceiling=0.05)


async def waits_until_repaired(
    node: Node, capsys: pytest.CaptureFixture[str], what: str, repair: Callable[[], None]
) -> None:
    """The agent reports what it waits for; after `repair` it goes on."""
    step = asyncio.create_task(node.step())
    await wait_for_output(capsys, what)
    assert not step.done()
    repair()
    assert await step == "role a: configured"


async def test_secrets_arrive_with_the_modes_and_owners_of_the_role(world: Surroundings, node: Node) -> None:
    world.ids["certificate"] = world.create("certificate", CERTIFICATE)
    world.grant()
    world.publish_metadata()
    assert await node.step() == "role a: configured"
    assert node.read("etc/secret") == f"{PHRASE}|{CERTIFICATE['key']}"
    file = node.root / "etc/secret"
    assert (stat.S_IMODE(file.stat().st_mode), file.owner(), file.group()) == (0o440, "nobody", "nogroup")


async def test_a_new_secret_version_restarts_the_units_that_use_it(world: Surroundings, node: Node) -> None:
    world.grant()
    await node.step()
    world.change("phrase", phrase="battery staple")
    assert await node.step() == "role a: configured"
    assert node.read("etc/secret") == "battery staple"
    assert node.ran[-1] == ["systemctl", "--no-block", "try-restart", "app.service"]
    file = node.root / "etc/secret"
    assert (stat.S_IMODE(file.stat().st_mode), file.owner(), file.group()) == (0o440, "nobody", "nogroup")


async def test_a_change_of_peers_restarts_only_their_units(world: Surroundings, node: Node) -> None:
    world.grant()
    world.names = {"bingo-1": "10.30.0.9"}
    await node.step()
    assert node.read("etc/peers") == "bingo-1 10.30.0.9;bingo-2 10.30.0.3;"
    world.names = {"bingo-3": "10.30.0.4"}
    await node.step()
    assert node.read("etc/peers") == "bingo-2 10.30.0.3;bingo-3 10.30.0.4;"
    assert node.ran[-1] == ["systemctl", "--no-block", "try-restart", "proxy.service"]
    world.publish_metadata(peers=1)
    await node.step()
    assert node.read("etc/peers") == ""


async def test_peers_stay_while_the_name_server_is_unavailable(
    world: Surroundings, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    world.grant()
    world.names = {"bingo-1": "10.30.0.9"}
    await node.step()
    world.name_server = False
    step = asyncio.create_task(node.step())
    await wait_for_output(capsys, "using the last answer, waiting for the name server: no answer")
    world.names = {"bingo-3": "10.30.0.4"}
    assert not step.done()
    world.name_server = True
    await step
    assert node.read("etc/peers") == "bingo-2 10.30.0.3;bingo-3 10.30.0.4;"


async def test_a_missing_role_is_named(world: Surroundings, node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    lacking = "this machine's service account lacks the role lockbox.payloadViewer on it"
    await waits_until_repaired(
        node, capsys, f"{world.ids['phrase']}) from Lockbox at {world.cloud.endpoint.rest}: {lacking}", world.grant
    )


async def test_an_expired_token_is_renewed(world: Surroundings, node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    world.grant()
    world.lifetime = -1

    def repair() -> None:
        world.lifetime = 3600

    await waits_until_repaired(node, capsys, "it answers 401", repair)


async def test_a_machine_without_a_service_account_waits(
    world: Surroundings, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    world.grant()
    machine = world.machine
    world.machine = replace(machine, service_account_id=None)

    def repair() -> None:
        world.machine = machine

    await waits_until_repaired(
        node, capsys, "waiting for a token of this machine's service account: the metadata service", repair
    )


async def test_an_unavailable_lockbox_is_waited_for(
    world: Surroundings, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    world.grant()
    right = world.api
    with socket.socket() as closed:  # bound and not listening: refused
        closed.bind(("127.0.0.1", 0))
        away = f"127.0.0.1:{closed.getsockname()[1]}"
        world.api = replace(right, endpoint=f"https://{away}")
        world.publish_metadata()

        def repair() -> None:
            world.api = right
            world.publish_metadata()

        await waits_until_repaired(node, capsys, f"from Lockbox at {away}: [Errno 111]", repair)


async def test_an_untrusted_lockbox_gives_no_secret(
    world: Surroundings, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    world.grant()
    right = world.api

    def repair() -> None:
        world.api = right
        world.publish_metadata()

    world.machine = replace(
        world.machine,
        attributes=dict(world.machine.attributes) | {"samovar-api": yaml.safe_dump({"endpoint": right.endpoint})},
    )
    await waits_until_repaired(node, capsys, "CERTIFICATE_VERIFY_FAILED", repair)


async def test_a_secret_that_is_denied_later_keeps_its_last_value(
    world: Surroundings, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    world.grant()
    await node.step()
    world.secrets.Deactivate(rpc.DeactivateSecretRequest(secret_id=world.ids["phrase"]))
    world.names = {"bingo-1": "10.30.0.9"}
    await node.step()
    assert node.read("etc/peers") == "bingo-1 10.30.0.9;bingo-2 10.30.0.3;"
    await_step = asyncio.create_task(node.step())
    await wait_for_output(capsys, f"using the last answer, waiting for secret phrase ({world.ids['phrase']})")
    assert node.read("etc/secret") == PHRASE
    world.secrets.Activate(rpc.ActivateSecretRequest(secret_id=world.ids["phrase"]))
    await wait_for_output(capsys, "answers again")
    world.change("phrase", phrase="another")
    await await_step
    assert node.read("etc/secret") == "another"


async def test_no_secret_is_reported(world: Surroundings, node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    world.grant()
    node.write("usr/lib/samovar/roles/a.yaml", ROLE.replace('[grep, -q, "%s"', '[sh, -c, "cat $0; exit 1"') % node.root)
    with pytest.raises(InvalidConfig, match=r"ended with 1: \*\*\*") as wrong:
        await node.step()
    assert wrong.value.__cause__ is None
    assert PHRASE not in str(wrong.value) + capsys.readouterr().out
    assert not (node.root / "etc/secret").exists()
