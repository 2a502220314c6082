"""`cloud: yandex` before a cloud of which nothing is ours but an address, an authority and credentials."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from yandex.cloud.compute.v1.zone_service_pb2 import ListZonesRequest
from yandex.cloud.compute.v1.zone_service_pb2_grpc import ZoneServiceStub
from yandex.cloud.iam.v1.key_service_pb2 import CreateKeyRequest, DeleteKeyRequest
from yandex.cloud.iam.v1.key_service_pb2_grpc import KeyServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.cloud.connection import Access
from samovar.cloud.credentials import PROFILES, find_access
from samovar.cloud.errors import CallFailed
from samovar.cloud.session import Session
from samovar.core.errors import ConfigError
from samovar.localcloud.home.home import QuotaSet
from samovar.localcloud.quota_manager.model import choose_quotas
from samovar.localcloud.store.store import Store
from tests.support.calls import account, grant
from tests.support.simulated import RunningCloud


@pytest.fixture
def variables(cloud: RunningCloud) -> dict[str, str]:
    return {
        "YC_ENDPOINT": cloud.endpoint.grpc,
        "SSL_CERT_FILE": cloud.endpoint.ca,
        "YC_FOLDER_ID": cloud.endpoint.folder_id,
    }


@pytest.fixture
def by_key(cloud: RunningCloud, variables: dict[str, str], tmp_path: Path) -> Access:
    """A service account's key in a file, as `yc iam key create` writes it; the account has no role."""
    account_id, _ = account(cloud, "deployer")
    created = KeyServiceStub(cloud.channel()).Create(CreateKeyRequest(service_account_id=account_id))
    key = {"id": created.key.id, "service_account_id": account_id, "private_key": created.private_key}
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key))
    return find_access({**variables, "YC_SERVICE_ACCOUNT_KEY_FILE": str(file)}, home=tmp_path)


def account_of(access: Access) -> str:
    assert access.key_file
    return str(json.loads(access.key_file.read_text())["service_account_id"])


def zones(session: Session) -> int:
    return len(session.list(session.client(ZoneServiceStub).List, ListZonesRequest(), lambda page: page.zones))


def refused(access: Access) -> CallFailed:
    with pytest.raises(CallFailed) as error:
        zones(Session(access))
    assert error.value.remedy
    return error.value


def test_a_key_becomes_a_token(cloud: RunningCloud, by_key: Access) -> None:
    grant(cloud, "viewer", account_of(by_key))
    session = Session(by_key)
    assert zones(session) == 3
    assert session.identity.get_token().startswith("t1.")


def test_a_profile_of_the_yc_cli_is_used(cloud: RunningCloud, by_key: Access, tmp_path: Path) -> None:
    grant(cloud, "viewer", account_of(by_key))
    assert by_key.key_file
    key = json.loads(by_key.key_file.read_text())
    content = {"folder-id": by_key.folder_id, "endpoint": by_key.endpoint, "service-account-key": key}
    file = tmp_path / PROFILES
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"current": "second", "profiles": {"second": content}}))
    assert zones(Session(find_access({"SSL_CERT_FILE": cloud.endpoint.ca}, home=tmp_path))) == 3


def test_an_oauth_token_is_exchanged(cloud: RunningCloud, variables: dict[str, str], tmp_path: Path) -> None:
    access = find_access({**variables, "YC_TOKEN": "y0_unknown"}, home=tmp_path)
    error = refused(access)
    assert error.message.startswith("a token: IamTokenService.Create: UNAUTHENTICATED")
    assert zones(Session(replace(access, token=cloud.endpoint.oauth_token))) == 3


def test_yandex_cloud_has_no_capability_on_its_host(
    cloud: RunningCloud, variables: dict[str, str], tmp_path: Path
) -> None:
    access = find_access({**variables, "YC_TOKEN": cloud.endpoint.token}, home=tmp_path)
    session = Session(access)
    assert (session.host, session.image_storage) == (None, None)


def test_a_key_that_was_deleted_is_named(cloud: RunningCloud, by_key: Access) -> None:
    assert by_key.key_file
    key_id = json.loads(by_key.key_file.read_text())["id"]
    KeyServiceStub(cloud.channel()).Delete(DeleteKeyRequest(key_id=key_id))
    error = refused(by_key)
    assert error.status is grpc.StatusCode.UNAUTHENTICATED
    assert str(by_key.key_file) in error.message


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ("", "not a service account's key"),
        ('{"id": "key-1"}', "'service_account_id'"),
        ('{"id": "k", "service_account_id": "a", "private_key": "PEM"}', "its private_key is no key in PEM"),
    ],
)
def test_a_broken_key_file_is_named(by_key: Access, content: str, output: str) -> None:
    assert by_key.key_file
    by_key.key_file.write_text(content)
    with pytest.raises(ConfigError) as error:
        Session(by_key)
    assert error.value.message.startswith(f"{by_key.key_file}: ")
    assert output in error.value.message
    assert "yc iam key create" in error.value.remedy


def test_an_expired_token_is_an_error_that_names_it(
    cloud: RunningCloud, variables: dict[str, str], tmp_path: Path
) -> None:
    expired = cloud.cloud.api._tokens.issue("operator", lifetime=-1).text
    error = refused(find_access({**variables, "YC_TOKEN": expired}, home=tmp_path))
    assert "UNAUTHENTICATED: The token is invalid or has expired" in error.message


def test_missing_roles_in_a_folder_are_an_error_that_names_them(by_key: Access) -> None:
    error = refused(by_key)
    assert error.status is grpc.StatusCode.PERMISSION_DENIED
    assert "role" in error.remedy


def test_a_quota_that_would_be_passed_is_named(cloud: RunningCloud, variables: dict[str, str], tmp_path: Path) -> None:
    store = Store(cloud.home.database)
    choose_quotas(store, QuotaSet.DEFAULT)
    store.close()
    session = Session(find_access({**variables, "YC_TOKEN": cloud.endpoint.token}, home=tmp_path))
    networks = session.client(NetworkServiceStub)
    for _ in range(2):
        networks.Create(CreateNetworkRequest(folder_id=session.folder_id))
    with pytest.raises(CallFailed, match=r"Quota limit vpc\.networks\.count exceeded") as error:
        networks.Create(CreateNetworkRequest(folder_id=session.folder_id))
    assert "doctor" in error.value.remedy
