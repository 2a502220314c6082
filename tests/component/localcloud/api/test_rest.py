"""The REST form: the same calls as over gRPC, for those who have nothing but HTTP and JSON."""

from __future__ import annotations

import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samovar.localcloud.api.routes import bindings_of
from samovar.localcloud.sockets.ports import listen
from tests.support.calls import account, grant
from tests.support.simulated import Rest, RunningCloud

NOT_A_DEFECT = frozenset({200, 400, 401, 403, 404, 409, 413, 429, 501})


@pytest.fixture
def rest(cloud: RunningCloud) -> Rest:
    return Rest(cloud)


def _network(cloud: RunningCloud, rest: Rest, name: str, **headers: str) -> Any:
    body = {"folderId": cloud.endpoint.folder_id, "name": name, "labels": {"a": "b"}}
    status, operation = rest.call("POST", "/vpc/v1/networks", body, **headers)
    assert status == 200, operation
    return operation


def test_a_resource_is_created_read_updated_and_deleted_over_rest(cloud: RunningCloud, rest: Rest) -> None:
    operation = _network(cloud, rest, "one")
    network_id = operation["metadata"]["networkId"]
    assert operation["done"]
    assert operation["metadata"]["@type"].endswith("yandex.cloud.vpc.v1.CreateNetworkMetadata")
    assert operation["response"]["labels"] == {"a": "b"}
    assert rest.call("GET", f"/operations/{operation['id']}") == (200, operation)
    changed = {"updateMask": "description", "description": "new", "name": "not-in-the-mask"}
    assert rest.call("PATCH", f"/vpc/v1/networks/{network_id}", changed)[0] == 200
    status, network = rest.call("GET", f"/vpc/v1/networks/{network_id}")
    assert (status, network["name"], network["description"]) == (200, "one", "new")
    assert rest.call("DELETE", f"/vpc/v1/networks/{network_id}")[0] == 200
    status, error = rest.call("GET", f"/vpc/v1/networks/{network_id}")
    assert (status, error["code"]) == (404, 5)


def test_lists_take_their_fields_from_the_query_in_both_spellings(cloud: RunningCloud, rest: Rest) -> None:
    for number in range(3):
        _network(cloud, rest, f"net-{number}")
    folder_id = cloud.endpoint.folder_id
    status, first = rest.call("GET", f"/vpc/v1/networks?folderId={folder_id}&pageSize=2")
    assert (status, len(first["networks"])) == (200, 2)
    status, second = rest.call("GET", f"/vpc/v1/networks?folder_id={folder_id}&page_token={first['nextPageToken']}")
    assert (status, len(second["networks"]), "nextPageToken" in second) == (200, 1, False)
    named = rest.call("GET", f"/vpc/v1/networks?folderId={folder_id}&filter=name%3D%22net-1%22")[1]
    assert [network["name"] for network in named["networks"]] == ["net-1"]


@pytest.mark.parametrize(
    "query", ["", "?folderId=a&folderId=b", "?nothing=1", "?folderId.x=1", "?pageSize=many", "?pageSize=1e99"]
)
def test_a_bad_query_is_refused_and_not_ignored(rest: Rest, query: str) -> None:
    status, error = rest.call("GET", f"/vpc/v1/networks{query}")
    assert (status, error["code"]) == (400, 3)


def test_broken_constraints_are_named_as_over_grpc(rest: Rest) -> None:
    status, error = rest.call("POST", "/vpc/v1/networks", {"name": "_"})
    assert (status, error["code"]) == (400, 3)
    (details,) = error["details"]
    assert {violation["field"] for violation in details["fieldViolations"]} == {"folder_id", "name"}


@pytest.mark.parametrize("token", ["", "t1.local.dev", "nonsense"])
def test_a_wrong_token_is_refused(cloud: RunningCloud, token: str) -> None:
    status, error = Rest(cloud, token).call("GET", f"/vpc/v1/networks?folderId={cloud.endpoint.folder_id}")
    assert (status, error["code"]) == (401, 16)


def test_storage_is_the_operators(cloud: RunningCloud) -> None:
    path = f"/storage/images/{'a' * 64}.raw"
    account_id, token = account(cloud)
    grant(cloud, "editor", account_id)
    for wrong, status in (("", 401), ("t1.local.dev", 401), (token, 403)):
        assert Rest(cloud, wrong).call("PUT", path, b"x")[0] == status
    assert not list(cloud.home.uploads.iterdir())


def test_a_token_is_had_without_one(cloud: RunningCloud) -> None:
    key = json.loads(Path(cloud.endpoint.key_file).read_text())
    now = datetime.now(UTC)
    claims = {
        "iss": key["service_account_id"],
        "aud": "https://iam.api.cloud.yandex.net/iam/v1/tokens",
        "iat": now,
        "exp": now + timedelta(hours=1),
    }
    signed = jwt.encode(claims, key["private_key"], algorithm="PS256", headers={"kid": key["id"]})
    status, created = Rest(cloud, "").call("POST", "/iam/v1/tokens", {"jwt": signed})
    assert status == 200
    path = f"/vpc/v1/networks?folderId={cloud.endpoint.folder_id}"
    assert Rest(cloud, created["iamToken"]).call("GET", path) == (200, {})
    assert Rest(cloud, "").call("GET", "/endpoints")[0] == 200


def test_discovery_over_rest_leads_on_over_rest(cloud: RunningCloud) -> None:
    actual = Rest(cloud, "").call("GET", "/endpoints")[1]["endpoints"]
    addresses = {endpoint["id"]: endpoint["address"] for endpoint in actual}
    assert addresses["lockbox"] == addresses["lockbox-payload"] == addresses["storage"] == cloud.endpoint.rest


def test_rest_answers_at_another_socket_by_the_name_that_machines_use(cloud: RunningCloud) -> None:
    sock = listen(0)
    cloud.answer_rest_at(sock)
    host, port = sock.getsockname()
    context = ssl.create_default_context(cafile=cloud.endpoint.ca)
    with (
        socket.create_connection((host, port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="api.internal") as tls,
    ):
        tls.sendall(b"GET /endpoints/lockbox HTTP/1.1\r\nHost: api.internal\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: tls.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"id": "lockbox", "address": "api.internal"}


@pytest.mark.parametrize("path", ["/compute/v1/hostGroups", "/nothing/v1/of-the-kind", "/", "/vpc/v1/networks/x:fly"])
def test_a_service_that_is_not_served_is_unimplemented(rest: Rest, path: str) -> None:
    status, error = rest.call("GET", path)
    assert (status, error["code"]) == (501, 12)
    assert "is not served by the local cloud" in error["message"]


def test_a_method_that_a_served_service_lacks_is_unimplemented(rest: Rest) -> None:
    status, error = rest.call("POST", "/vpc/v1/networks/x:move", {"destinationFolderId": "y"})
    assert (status, error["code"]) == (501, 12)
    assert "NetworkService.Move is not served" in error["message"]


def test_an_idempotency_key_creates_a_resource_once(cloud: RunningCloud, rest: Rest) -> None:
    key = {"Idempotency-Key": "k1"}
    first = _network(cloud, rest, "once", **key)
    assert _network(cloud, rest, "once", **key)["id"] == first["id"]
    assert rest.call("POST", "/vpc/v1/networks", {"folderId": cloud.endpoint.folder_id, "name": "x"}, **key)[0] == 400


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b'"x"', b'{"name": 1}', b'{"unknown": 1}', b'{"labels": [1]}', b'{"\\ud800": 1}', b"\xff"],
)
def test_a_body_that_is_not_the_request_is_refused(rest: Rest, body: bytes) -> None:
    status, error = rest.call("POST", "/vpc/v1/networks", body)
    assert (status, error["code"]) == (400, 3)


def test_no_request_causes_an_internal_error(cloud: RunningCloud) -> None:
    """All paths of the API with all bodies: whatever is not understood is said to be so, and the next call works."""
    rest = Rest(cloud)
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda v: st.lists(v) | _objects(v)
    )
    templates = sorted(
        f"{binding.verb} /{'/'.join(binding.segments).replace('/:', ':')}"
        for method in cloud.cloud.api.methods.values()
        for binding in bindings_of(method)
    )

    @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from(templates), st.text("ab%/:.\u00e9", max_size=6), st.binary(max_size=50) | values)
    def ask(template: str, value: str, body: Any) -> None:
        verb, _, path = template.partition(" ")
        filled = path.replace("*", quote(value, safe="%:") or "x")
        status, _ = rest.call(verb, f"{filled}?pageSize={quote(value)}", body)
        assert status in NOT_A_DEFECT

    ask()
    began = time.monotonic()
    assert rest.call("GET", f"/vpc/v1/networks?folderId={cloud.endpoint.folder_id}")[0] == 200
    assert time.monotonic() - began < 5


NAMES = ["name", "folderId", "labels", "networkId", "ruleSpecs", "updateMask", "resourcesSpec", "@type", "bootDiskSpec"]


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(NAMES) | st.text(), values)
