"""Homes that share a host, as processes: each keeps its number and its addresses, whoever runs meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from yandex.cloud.vpc.v1 import address_service_pb2 as rpc
from yandex.cloud.vpc.v1.address_service_pb2_grpc import AddressServiceStub

from samovar.core.errors import ExitCode
from tests.support.tool import Cli


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[tuple[Cli, Cli]]:
    tools = Cli(tmp_path / "a", tmp_path / "envs"), Cli(tmp_path / "b", tmp_path / "envs")
    yield tools
    for tool in tools:
        tool.run("cloud", "down", check=False)
        shutil.rmtree(tool.home, ignore_errors=True)


def _reserve(cli: Cli) -> str:
    session = cli.session()
    spec = rpc.ExternalIpv4AddressSpec(zone_id="ru-central1-a")
    request = rpc.CreateAddressRequest(folder_id=session.folder_id, external_ipv4_address_spec=spec)
    operation = session.finish(session.client(AddressServiceStub).Create(request), what="address")
    actual = rpc.CreateAddressMetadata.FromString(operation.metadata.value)
    address = session.client(AddressServiceStub).Get(rpc.GetAddressRequest(address_id=actual.address_id))
    return str(address.external_ipv4_address.address)


def test_two_homes_in_turn_never_have_each_others_addresses(homes: tuple[Cli, Cli]) -> None:
    a, b = homes
    a.run("cloud", "up")
    number, address = a.endpoint()["number"], _reserve(a)
    assert address.startswith(f"127.66.{number}.")
    a.run("cloud", "down")
    b.run("cloud", "up")
    assert b.endpoint()["number"] != number
    a.run("cloud", "up")
    assert a.endpoint()["number"] == number
    assert a.json("cloud", "status")["warnings"] == []


def test_a_copied_home_is_refused(homes: tuple[Cli, Cli]) -> None:
    a, b = homes
    a.run("cloud", "up")
    _reserve(a)
    a.run("cloud", "down")
    shutil.copytree(a.home, b.home)
    (b.home / "ports.json").unlink()
    refused = b.run("cloud", "up", check=False)
    assert refused.code == ExitCode.HOST
    assert f"is held by {a.home}" in refused.stderr
    assert "remedy: " in refused.stderr
    assert "Traceback" not in refused.stderr
