"""Yandex's own provider cannot tell the local cloud from the real one: a group behind a balancer, all its life long."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from yandex.cloud.compute.v1.instance_service_pb2 import ListInstancesRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import ListNetworksRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.cloud.local_daemon import find_or_start
from samovar.cloud.session import Session
from tests.support.terraform import Terraform, program_or_skip
from tests.support.tool import Cli
from tests.support.wait import wait_until

TIMEOUT = 300.0


@pytest.fixture
def terraform(tmp_path: Path) -> Iterator[Terraform]:
    program, tool = program_or_skip(), Cli(tmp_path / "home", tmp_path / "envs")
    try:
        yield Terraform(program, find_or_start(tool.home).access, tmp_path / "terraform")
    finally:
        tool.run("cloud", "down", check=False)


def test_a_group_is_applied_planned_empty_resized_and_destroyed(terraform: Terraform) -> None:
    terraform.succeed("apply", "-auto-approve")
    machines = {instance.id for instance in instances(terraform)}
    assert len(machines) == 3
    assert answers(terraform.output("address"))
    assert "No changes." in terraform.succeed("plan", "-detailed-exitcode")
    terraform.succeed("apply", "-auto-approve", "-var=size=2")
    assert len(machines & {instance.id for instance in instances(terraform)}) == 2
    assert "No changes." in terraform.succeed("plan", "-detailed-exitcode", "-var=size=2")
    terraform.succeed("destroy", "-auto-approve")
    assert list(instances(terraform)) == []
    session = Session(terraform.access)
    assert not session.client(NetworkServiceStub).List(ListNetworksRequest(folder_id=session.folder_id)).networks


def instances(terraform: Terraform) -> Any:
    session = Session(terraform.access)
    return session.client(InstanceServiceStub).List(ListInstancesRequest(folder_id=session.folder_id)).instances


def answers(address: str) -> bool:
    """Return whether Debian answers through the balancer, once its own checks have passed."""

    def page() -> bytes:
        with urllib.request.urlopen(f"http://{address}/debian_version", timeout=5) as answer:
            content: bytes = answer.read()
            return content

    return wait_until("an answer", page, timeout=TIMEOUT, errors=(OSError,)).startswith(b"13")
