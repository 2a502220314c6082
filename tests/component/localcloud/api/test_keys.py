"""Service accounts and their keys: given out once, changed, listed by account, gone with it; accounts in use stay."""

from __future__ import annotations

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2 import DeleteInstanceGroupRequest
from yandex.cloud.iam.v1 import api_key_service_pb2 as api_keys
from yandex.cloud.iam.v1 import key_service_pb2 as keys
from yandex.cloud.iam.v1 import yandex_passport_user_account_service_pb2 as passport
from yandex.cloud.iam.v1.api_key_service_pb2_grpc import ApiKeyServiceStub
from yandex.cloud.iam.v1.awscompatibility import access_key_service_pb2 as access_keys
from yandex.cloud.iam.v1.awscompatibility.access_key_service_pb2_grpc import AccessKeyServiceStub
from yandex.cloud.iam.v1.key_pb2 import Key
from yandex.cloud.iam.v1.key_service_pb2_grpc import KeyServiceStub
from yandex.cloud.iam.v1.service_account_service_pb2 import DeleteServiceAccountRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.iam.v1.user_account_service_pb2 import GetUserAccountRequest
from yandex.cloud.iam.v1.user_account_service_pb2_grpc import UserAccountServiceStub
from yandex.cloud.iam.v1.yandex_passport_user_account_service_pb2_grpc import YandexPassportUserAccountServiceStub

from tests.support.calls import account, code_of
from tests.support.group_client import Groups
from tests.support.simulated import RunningCloud

NOT_FOUND = grpc.StatusCode.NOT_FOUND


@pytest.fixture
def account_id(cloud: RunningCloud) -> str:
    return account(cloud)[0]


def test_an_api_key_shows_its_secret_once_and_goes_with_its_account(cloud: RunningCloud, account_id: str) -> None:
    stub = ApiKeyServiceStub(cloud.channel())
    created = stub.Create(api_keys.CreateApiKeyRequest(service_account_id=account_id, description="one"))
    assert created.secret.startswith("AQVN")
    assert created.secret not in str(created.api_key)
    mask = FieldMask(paths=["description"])
    stub.Update(api_keys.UpdateApiKeyRequest(api_key_id=created.api_key.id, update_mask=mask, description="two"))
    listed = stub.List(api_keys.ListApiKeysRequest(service_account_id=account_id)).api_keys
    assert [(key.id, key.description) for key in listed] == [(created.api_key.id, "two")]
    accounts = ServiceAccountServiceStub(cloud.channel())
    accounts.Delete(DeleteServiceAccountRequest(service_account_id=account_id))
    assert code_of(stub.Get, api_keys.GetApiKeyRequest(api_key_id=created.api_key.id)) is NOT_FOUND


def test_an_access_key_has_an_id_of_its_own_beside_that_of_the_resource(cloud: RunningCloud, account_id: str) -> None:
    stub = AccessKeyServiceStub(cloud.channel())
    created = stub.Create(access_keys.CreateAccessKeyRequest(service_account_id=account_id))
    assert created.access_key.key_id.startswith("YCAJE")
    get = access_keys.GetAccessKeyRequest(access_key_id=created.access_key.id)
    assert stub.Get(get) == created.access_key
    stub.Delete(access_keys.DeleteAccessKeyRequest(access_key_id=created.access_key.id))
    assert code_of(stub.Get, get) is NOT_FOUND


def test_an_authorized_key_has_the_algorithm_that_was_asked_for(cloud: RunningCloud, account_id: str) -> None:
    stub = KeyServiceStub(cloud.channel())
    request = keys.CreateKeyRequest(service_account_id=account_id, key_algorithm=Key.RSA_4096)
    created = stub.Create(request)
    assert stub.Get(keys.GetKeyRequest(key_id=created.key.id)).key_algorithm == Key.RSA_4096
    private = load_pem_private_key(created.private_key.encode(), None)
    assert isinstance(private, RSAPrivateKey)
    assert private.key_size == 4096


def test_the_description_of_an_authorized_key_changes(cloud: RunningCloud, account_id: str) -> None:
    stub = KeyServiceStub(cloud.channel())
    key = stub.Create(keys.CreateKeyRequest(service_account_id=account_id)).key
    stub.Update(keys.UpdateKeyRequest(key_id=key.id, update_mask=FieldMask(paths=["description"]), description="new"))
    assert stub.Get(keys.GetKeyRequest(key_id=key.id)).description == "new"
    assert stub.List(keys.ListKeysRequest(service_account_id=account_id)).keys[0].description == "new"


def test_an_account_that_manages_a_group_cannot_be_deleted(cloud: RunningCloud, groups: Groups) -> None:
    accounts = ServiceAccountServiceStub(cloud.channel())
    groups.finished(groups.create(size=1))
    delete = DeleteServiceAccountRequest(service_account_id=groups.account_id)
    assert code_of(accounts.Delete, delete) is grpc.StatusCode.FAILED_PRECONDITION
    request = DeleteInstanceGroupRequest(instance_group_id=groups.group().id)
    groups.finished(groups.groups.Delete(request))
    accounts.Delete(delete)


def test_a_login_has_one_account(cloud: RunningCloud) -> None:
    stub = YandexPassportUserAccountServiceStub(cloud.channel())
    ann, bob = (stub.GetByLogin(passport.GetUserAccountByLoginRequest(login=login)) for login in ("ann", "bob"))
    assert ann.id != bob.id
    assert stub.GetByLogin(passport.GetUserAccountByLoginRequest(login="ann")) == ann
    users = UserAccountServiceStub(cloud.channel())
    assert users.Get(GetUserAccountRequest(user_account_id=ann.id)) == ann
    assert code_of(users.Get, GetUserAccountRequest(user_account_id="ajenothere")) is NOT_FOUND
