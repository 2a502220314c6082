"""A service of the local cloud is added as docs/extending.md says: one folder, and one line of the registry."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from yandex.cloud.compute.v1 import placement_group_service_pb2 as rpc
from yandex.cloud.compute.v1.placement_group_pb2 import PlacementGroup
from yandex.cloud.endpoint.api_endpoint_service_pb2 import ListApiEndpointsRequest
from yandex.cloud.quotamanager.v1.quota_limit_service_pb2 import GetQuotaLimitRequest
from yandex.cloud.quotamanager.v1.resource_pb2 import Resource

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.api.pipeline import Call
from samovar.localcloud.api.routes import Table
from samovar.localcloud.api.tokens import OPERATOR, Tokens
from samovar.localcloud.cloud import Cloud
from samovar.localcloud.daemon.bootstrap import Operator, ensure_operator
from samovar.localcloud.home.home import Home
from samovar.localcloud.registry import PACKAGES, load_services
from samovar.localcloud.simulated.settings import simulated_host
from samovar.localcloud.store.store import Store
from tests.support.checkout import ROOT
from tests.support.documentation import python_blocks

FOLDER = "samovar.localcloud.compute.placement_groups"
LINE = "compute.placement_groups"
SERVICE = "compute.v1.PlacementGroupService"


class Client:
    """The operator, who calls without a wire."""

    def __init__(self, cloud: Cloud, operator: Operator, token: str) -> None:
        self.cloud = cloud
        self.folder_id = operator.folder.id
        self.cloud_id = operator.folder.cloud_id
        self._token = token

    def call(self, method: str, request: Message) -> Any:
        return self.cloud.api.call(Call(self.cloud.api.methods[f"/yandex.cloud.{method}"], request, self._token))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the folder of the documentation, and let it be imported under its name."""
    folder = tmp_path / "placement_groups"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Placement groups."""\n')
    model, rpc_module = python_blocks("A service of the local cloud")
    (folder / "model.py").write_text(model)
    (folder / "rpc.py").write_text(rpc_module)
    compute = importlib.import_module("samovar.localcloud.compute")
    monkeypatch.setattr(compute, "__path__", [*compute.__path__, str(tmp_path)])
    return folder


@pytest.fixture
def client(tmp_path: Path, package: Path) -> Iterator[Client]:  # noqa: ARG001 - the folder is to be there
    home = Home(tmp_path / "home")
    home.make()
    store, tokens = Store(home.database), Tokens(home.pki / "token-secret")
    cloud = Cloud(home, store, tokens, simulated_host(home), (*PACKAGES, LINE))
    operator = ensure_operator(home.pki, store, tokens)
    yield Client(cloud, operator, tokens.issue(OPERATOR).text)
    store.close()
    for name in [name for name in sys.modules if name.startswith(FOLDER)]:
        del sys.modules[name]


def test_every_folder_with_rpcs_stands_in_the_registry() -> None:
    root = ROOT / "samovar/localcloud"
    served = {".".join(path.parent.relative_to(root).parts) for path in root.rglob("rpc.py")}
    assert served - {"resources"} == set(PACKAGES)


def test_two_services_alone_take_no_token() -> None:
    public = {service.descriptor.full_name for service in load_services() if service.public}
    assert public == {"yandex.cloud.endpoint.ApiEndpointService", "yandex.cloud.iam.v1.IamTokenService"}


def _create(client: Client, name: str) -> str:
    request = rpc.CreatePlacementGroupRequest(folder_id=client.folder_id, name=name)
    request.spread_placement_strategy.SetInParent()
    operation = client.call(f"{SERVICE}/Create", request)
    return rpc.CreatePlacementGroupMetadata.FromString(operation.metadata.value).placement_group_id


def test_the_new_service_creates_lists_and_deletes(client: Client) -> None:
    group_id = _create(client, "rack")
    assert group_id.startswith("fd8")
    group: PlacementGroup = client.call(f"{SERVICE}/Get", rpc.GetPlacementGroupRequest(placement_group_id=group_id))
    assert (group.name, group.folder_id, group.HasField("created_at")) == ("rack", client.folder_id, True)
    listing = rpc.ListPlacementGroupsRequest(folder_id=client.folder_id, filter='name="rack"')
    assert list(client.call(f"{SERVICE}/List", listing).placement_groups) == [group]
    history = rpc.ListPlacementGroupOperationsRequest(placement_group_id=group_id)
    assert len(client.call(f"{SERVICE}/ListOperations", history).operations) == 1
    client.call(f"{SERVICE}/Delete", rpc.DeletePlacementGroupRequest(placement_group_id=group_id))
    assert not client.call(f"{SERVICE}/List", listing).placement_groups


def test_the_new_service_has_constraints_and_unique_names_and_lacks_other_methods(client: Client) -> None:
    _create(client, "rack")
    with pytest.raises(Refused, match="PlacementGroup with name rack already exists"):
        _create(client, "rack")
    with pytest.raises(Refused, match="placement_strategy: exactly one of"):
        client.call(f"{SERVICE}/Create", rpc.CreatePlacementGroupRequest(name="x"))
    with pytest.raises(Refused, match="Update is not served by the local cloud"):
        client.call(f"{SERVICE}/Update", rpc.UpdatePlacementGroupRequest(placement_group_id="fd8"))


def test_quotas_endpoints_and_rest_paths_follow_from_the_line(client: Client) -> None:
    _create(client, "rack")
    resource = Resource(id=client.cloud_id, type="resource-manager.cloud")
    limit = client.call(
        "quotamanager.v1.QuotaLimitService/Get",
        GetQuotaLimitRequest(resource=resource, quota_id="compute.placementGroups.count"),
    )
    assert limit.usage.value == 1
    client.cloud.endpoints.answer_at(grpc="127.0.0.1:1", rest="127.0.0.1:2")
    endpoints = client.call("endpoint.ApiEndpointService/List", ListApiEndpointsRequest()).endpoints
    assert [endpoint.id for endpoint in endpoints].count("compute") == 1
    match = Table(client.cloud.api.methods.values()).find("GET", "/compute/v1/placementGroups")
    assert match
    assert match.binding.method.full_name == f"yandex.cloud.{SERVICE}.List"


def test_the_example_passes_the_linter(package: Path) -> None:
    rules = ["--config", str(ROOT / "pyproject.toml"), "--ignore", "N802,INP001,I001"]
    linter = [sys.executable, "-m", "ruff", "check", *rules]
    ended = subprocess.run([*linter, str(package)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "compute.placement_groups" in (ROOT / "docs/extending.md").read_text()
