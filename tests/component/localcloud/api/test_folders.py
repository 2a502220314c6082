"""Clouds, folders, roles and people: what is listed, made and deleted, and what is refused."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from yandex.cloud.iam.v1.role_service_pb2 import GetRoleRequest, ListRolesRequest
from yandex.cloud.iam.v1.role_service_pb2_grpc import RoleServiceStub
from yandex.cloud.iam.v1.service_account_service_pb2 import CreateServiceAccountRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.iam.v1.yandex_passport_user_account_service_pb2 import GetUserAccountByLoginRequest
from yandex.cloud.resourcemanager.v1 import cloud_service_pb2 as clouds
from yandex.cloud.resourcemanager.v1 import folder_service_pb2 as folders
from yandex.cloud.resourcemanager.v1.cloud_pb2 import Cloud
from yandex.cloud.resourcemanager.v1.cloud_service_pb2_grpc import CloudServiceStub
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub
from yandex.cloud.vpc.v1.address_service_pb2 import CreateAddressRequest, ExternalIpv4AddressSpec
from yandex.cloud.vpc.v1.address_service_pb2_grpc import AddressServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest, DeleteNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.iam.rpc import YandexPassportUserAccountService, choose_logins
from samovar.localcloud.store.store import Store
from tests.support.calls import account, code_of
from tests.support.simulated import RunningCloud

NOT_FOUND, PRECONDITION = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION


def test_a_cloud_and_its_folder_come_and_go(cloud: RunningCloud) -> None:
    all_clouds, all_folders = CloudServiceStub(cloud.channel()), FolderServiceStub(cloud.channel())
    request = clouds.CreateCloudRequest(name="second", organization_id="org")
    created = Cloud.FromString(all_clouds.Create(request).response.value)
    create = folders.CreateFolderRequest(cloud_id=created.id, name="default")
    folder = Folder.FromString(all_folders.Create(create).response.value)
    assert code_of(all_folders.Create, create) is grpc.StatusCode.ALREADY_EXISTS
    assert list(all_folders.List(folders.ListFoldersRequest(cloud_id=created.id, filter='name="default"')).folders) == [
        folder
    ]
    assert code_of(all_clouds.Delete, clouds.DeleteCloudRequest(cloud_id=created.id)) is PRECONDITION
    all_folders.Delete(folders.DeleteFolderRequest(folder_id=folder.id))
    all_clouds.Delete(clouds.DeleteCloudRequest(cloud_id=created.id))
    assert code_of(all_clouds.Get, clouds.GetCloudRequest(cloud_id=created.id)) is NOT_FOUND
    assert code_of(all_folders.List, folders.ListFoldersRequest(cloud_id=created.id)) is NOT_FOUND


def test_a_folder_that_is_not_empty_and_the_homes_own_stay(cloud: RunningCloud) -> None:
    all_folders, networks = FolderServiceStub(cloud.channel()), NetworkServiceStub(cloud.channel())
    own = folders.DeleteFolderRequest(folder_id=cloud.endpoint.folder_id)
    assert code_of(all_folders.Delete, own) is PRECONDITION
    create = folders.CreateFolderRequest(cloud_id=cloud.endpoint.cloud_id, name="other")
    folder = Folder.FromString(all_folders.Create(create).response.value)
    network = networks.Create(CreateNetworkRequest(folder_id=folder.id))
    delete = folders.DeleteFolderRequest(folder_id=folder.id)
    assert code_of(all_folders.Delete, delete) is PRECONDITION
    network_id = CreateNetworkMetadata.FromString(network.metadata.value).network_id
    networks.Delete(DeleteNetworkRequest(network_id=network_id))
    all_folders.Delete(delete)


def test_a_folder_that_does_not_exist_takes_no_resource(cloud: RunningCloud) -> None:
    channel, nowhere = cloud.channel(), "b1g00000000000000000"
    network = CreateNetworkRequest(folder_id=nowhere)
    assert code_of(NetworkServiceStub(channel).Create, network) is NOT_FOUND
    address = CreateAddressRequest(folder_id=nowhere, external_ipv4_address_spec=ExternalIpv4AddressSpec())
    assert code_of(AddressServiceStub(channel).Create, address) is NOT_FOUND


def test_a_service_accounts_name_is_unique_in_the_cloud(cloud: RunningCloud) -> None:
    stub = FolderServiceStub(cloud.channel())
    create = folders.CreateFolderRequest(cloud_id=cloud.endpoint.cloud_id, name="other")
    other = Folder.FromString(stub.Create(create).response.value)
    account(cloud, "dev-groups")
    accounts = ServiceAccountServiceStub(cloud.channel())
    request = CreateServiceAccountRequest(folder_id=other.id, name="dev-groups")
    assert code_of(accounts.Create, request) is grpc.StatusCode.ALREADY_EXISTS
    accounts.Create(CreateServiceAccountRequest(folder_id=other.id, name="prod-groups"))


def test_get_returns_a_role_by_its_id(cloud: RunningCloud) -> None:
    stub = RoleServiceStub(cloud.channel())
    assert stub.Get(GetRoleRequest(role_id="resource-manager.clouds.member")).id == "resource-manager.clouds.member"
    assert code_of(stub.Get, GetRoleRequest(role_id="compute.nobody")) is NOT_FOUND
    assert "compute.editor" in {role.id for role in stub.List(ListRolesRequest(page_size=1000)).roles}


def test_everybody_has_an_account_until_the_home_knows_who_has(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud.sqlite")
    service, request = YandexPassportUserAccountService(store), GetUserAccountByLoginRequest(login="somebody")
    account = service.GetByLogin(request, Caller("operator"))
    choose_logins(store, ["alice"])
    with pytest.raises(Refused, match="Login somebody not found"):
        service.GetByLogin(request, Caller("operator"))
    alice = service.GetByLogin(GetUserAccountByLoginRequest(login="alice"), Caller("operator"))
    assert alice.id != account.id
    store.close()
