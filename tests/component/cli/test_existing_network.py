"""A network and subnets that exist already: they are used, checked, shown, and never changed or deleted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from google.protobuf.message import Message
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest, GetNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest, GetSubnetRequest
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.cloud.labels import of_environment
from samovar.cloud.session import Session
from samovar.core.errors import ConfigError
from samovar.deploy.existing import existing_ranges
from samovar.deploy.plan import Action
from samovar.deploy.resources.resource import Kind, Unchanged
from samovar.deploy.resources.security_group import SecurityGroup
from samovar.deploy.rollout import prepare_destruction
from samovar.project.environment import Environment
from tests.support.checkout import ROOT, environment
from tests.support.command import command
from tests.support.service import Service
from tests.support.simulated import RunningCloud

ZONE, OTHER_ZONE = "ru-central1-a", "ru-central1-b"


@dataclass(frozen=True)
class Existing:
    """Networks of somebody else's, by the ids of what they consist of."""

    network: str
    subnet: str
    far_subnet: str
    other_network: str

    def messages(self, session: Session) -> list[Message]:
        network = session.client(NetworkServiceStub).Get(GetNetworkRequest(network_id=self.network))
        subnets = session.client(SubnetServiceStub)
        ids = (self.subnet, self.far_subnet)
        return [network, *(subnets.Get(GetSubnetRequest(subnet_id=each)) for each in ids)]


def make_network(session: Session, name: str, labels: dict[str, str]) -> str:
    request = CreateNetworkRequest(folder_id=session.folder_id, name=name, labels=labels)
    operation = session.client(NetworkServiceStub).Create(request)
    session.finish(operation, what=name)
    metadata = CreateNetworkMetadata()
    operation.metadata.Unpack(metadata)
    return metadata.network_id


def make_subnet(session: Session, network: str, zone: str, cidr: str) -> str:
    request = CreateSubnetRequest(
        folder_id=session.folder_id, name=f"corporate-{zone}", network_id=network, zone_id=zone, v4_cidr_blocks=[cidr]
    )
    operation = session.client(SubnetServiceStub).Create(request)
    session.finish(operation, what=zone)
    metadata = CreateSubnetMetadata()
    operation.metadata.Unpack(metadata)
    return metadata.subnet_id


@pytest.fixture
def existing(service: Service) -> Existing:
    """One of them carries the labels of `dev`, as a network that an older `dev` made."""
    network = make_network(service.session, "corporate", of_environment("dev"))
    subnet = make_subnet(service.session, network, ZONE, "10.128.0.0/24")
    far = make_subnet(service.session, network, OTHER_ZONE, "10.129.0.0/24")
    return Existing(network, subnet, far, make_network(service.session, "another", {}))


def write(folder: Path, network: str, subnets: str) -> Environment:
    text = (ROOT / "envs/dev/config.yaml").read_text()
    old = next(line for line in text.splitlines() if line.startswith("network:"))
    (folder / "dev").mkdir(exist_ok=True)
    (folder / "dev/config.yaml").write_text(text.replace(old, f"network: {network}\nsubnets: {subnets}"))
    return environment("dev", folder)


@pytest.fixture
def dev(tmp_path: Path, existing: Existing) -> Environment:
    return write(tmp_path, f"{{id: {existing.network}}}", f"{{{ZONE}: {existing.subnet}}}")


def test_an_existing_network_is_used_and_survives_a_rollout_and_a_destruction(
    service: Service, existing: Existing, dev: Environment
) -> None:
    before = existing.messages(service.session)
    plan = service.plan(dev)
    kinds = {step.ref.kind for step in plan.all_steps}
    assert not kinds & {Kind.NETWORK, Kind.SUBNET, Kind.GATEWAY, Kind.ROUTE_TABLE}
    assert plan.used == (
        Unchanged(Kind.NETWORK, "corporate", existing.network),
        Unchanged(Kind.SUBNET, f"corporate-{ZONE}", existing.subnet),
    )
    service.roll_out(dev)
    assert service.plan(dev).all_steps == ()
    (nic,) = service.machine("dev-bingo-1").network_interfaces
    assert nic.subnet_id == existing.subnet
    assert existing.messages(service.session) == before
    destruction = prepare_destruction(service.session, dev, delete_data=True).plan
    assert destruction.used == plan.used
    assert not {step.ref.kind for step in destruction.all_steps} & {Kind.NETWORK, Kind.SUBNET}
    service.destroy(dev, delete_data=True)
    assert existing.messages(service.session) == before
    assert [step for step in service.plan(dev).all_steps if step.action is not Action.CREATE] == []


def test_machines_reach_each_other_in_the_ranges_of_existing_subnets(service: Service, dev: Environment) -> None:
    specs = [step.desired.spec for step in service.plan(dev).all_steps if step.desired]
    peers = {rule.peer for spec in specs if isinstance(spec, SecurityGroup) for rule in spec.rules if not rule.inbound}
    assert {peer for peer in peers if peer.startswith("10.")} == {"10.128.0.0/24"}


def test_new_subnets_in_a_network_that_exists_go_with_the_environment(
    service: Service, existing: Existing, tmp_path: Path
) -> None:
    dev = write(tmp_path, f"{{id: {existing.network}, cidr: 10.77.0.0/16}}", "{}")
    before = existing.messages(service.session)
    service.roll_out(dev)
    assert {Kind.SUBNET, Kind.ROUTE_TABLE} <= {ref.kind for ref in service.ids(dev)}
    assert service.plan(dev).all_steps == ()
    service.destroy(dev, delete_data=True)
    assert {ref.kind for ref in service.ids(dev)} == {Kind.NETWORK}
    assert existing.messages(service.session) == before


@pytest.mark.parametrize(
    ("network", "subnet", "key", "message"),
    [
        ("enpnothere", "{0.subnet}", "network.id", "network enpnothere is not there, or may not be read"),
        ("{0.network}", "e9bnothere", f"subnets.{ZONE}", "subnet e9bnothere is not there, or may not be read"),
        ("{0.network}", "{0.far_subnet}", f"subnets.{ZONE}", f"(corporate-{OTHER_ZONE}) is in zone {OTHER_ZONE}"),
        ("{0.other_network}", "{0.subnet}", f"subnets.{ZONE}", "is of network {0.network}"),
    ],
)
def test_an_id_that_does_not_fit_is_an_error_with_its_line(
    service: Service, existing: Existing, tmp_path: Path, network: str, subnet: str, key: str, message: str
) -> None:
    dev = write(tmp_path, f"{{id: {network.format(existing)}}}", f"{{{ZONE}: {subnet.format(existing)}}}")
    with pytest.raises(ConfigError) as error:
        existing_ranges(service.session, dev)
    path = tmp_path / "dev/config.yaml"
    line = next(
        number for number, text in enumerate(path.read_text().splitlines(), 1) if text.startswith(key.partition(".")[0])
    )
    assert error.value.message.startswith(f"{path}:{line}: {key}: ")
    assert message.format(existing) in error.value.message


def test_commands_show_what_they_use_and_leave(
    cloud: RunningCloud, dev: Environment, existing: Existing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "dev/config.yaml"
    path.write_text(path.read_text().replace("cloud: local", "cloud: yandex"))
    ends = cloud.endpoint
    variables = {
        "YC_ENDPOINT": ends.grpc,
        "SSL_CERT_FILE": ends.ca,
        "YC_FOLDER_ID": ends.folder_id,
        "YC_TOKEN": ends.token,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    shown = command("--envs", str(tmp_path), "destroy", dev.name, "--yes")
    assert shown.exit_code == 0
    reason = "exists already, and is never changed or deleted"
    assert f"use network corporate ({existing.network}): {reason}" in shown.stderr
    assert f"use subnet corporate-{ZONE} ({existing.subnet}): {reason}" in shown.stderr
