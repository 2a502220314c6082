"""No way leads from a role to more than that role: bindings, keys, and machines and groups that work as another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.access.access_pb2 import (
    AccessBindingAction,
    AccessBindingDelta,
    SetAccessBindingsRequest,
    UpdateAccessBindingsRequest,
)
from yandex.cloud.compute.v1.instance_service_pb2 import (
    CreateInstanceMetadata,
    CreateInstanceRequest,
    UpdateInstanceRequest,
)
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups_rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.iam.v1.key_service_pb2 import CreateKeyRequest, DeleteKeyRequest, GetKeyRequest, ListKeysRequest
from yandex.cloud.iam.v1.key_service_pb2_grpc import KeyServiceStub
from yandex.cloud.iam.v1.service_account_service_pb2 import DeleteServiceAccountRequest, GetServiceAccountRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.resourcemanager.v1.cloud_service_pb2_grpc import CloudServiceStub
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from tests.support.calls import account, binding, code_of, grant, new_key, token_of
from tests.support.group_client import ZONE, Groups
from tests.support.simulated import Rest, RunningCloud
from tests.support.wait import wait_until

DENIED, NOT_FOUND, OK = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OK


@dataclass
class Intruder:
    """Has the token of the account `own`, and tries to get the rights of others by a machine and a group."""

    client: Groups
    own: str
    channel: grpc.Channel
    machine_id: str
    group_id: str

    def bind(self) -> dict[str, grpc.StatusCode]:
        """Give himself `admin` wherever bindings are."""
        cloud, expected = self.client.cloud, binding("admin", self.own)
        deltas = [AccessBindingDelta(action=AccessBindingAction.ADD, access_binding=expected)]
        targets: dict[str, Any] = {
            cloud.endpoint.folder_id: FolderServiceStub(self.channel),
            cloud.endpoint.cloud_id: CloudServiceStub(self.channel),
            self.own: ServiceAccountServiceStub(self.channel),
            operators_key(cloud)["service_account_id"]: ServiceAccountServiceStub(self.channel),
        }
        actual: dict[str, grpc.StatusCode] = {}
        for resource, stub in targets.items():
            replace = SetAccessBindingsRequest(resource_id=resource, access_bindings=[expected])
            more = UpdateAccessBindingsRequest(resource_id=resource, access_binding_deltas=deltas)
            actual[f"set on {resource}"] = code_of(stub.SetAccessBindings, replace)
            actual[f"added to {resource}"] = code_of(stub.UpdateAccessBindings, more)
        return actual

    def become(self, expected: str) -> dict[str, grpc.StatusCode]:
        """Try to get a key of that account, and a machine, a group and a group's machines that act as it."""
        instances, groups = InstanceServiceStub(self.channel), InstanceGroupServiceStub(self.channel)
        path = FieldMask(paths=["service_account_id"])
        changed = UpdateInstanceRequest(instance_id=self.machine_id, service_account_id=expected, update_mask=path)
        return {
            "key": code_of(KeyServiceStub(self.channel).Create, CreateKeyRequest(service_account_id=expected)),
            "machine": code_of(instances.Create, instance(self.client, expected)),
            "machine changed": code_of(instances.Update, changed),
            "group": code_of(groups.Create, self._group("a", expected, "")),
            "group's machines": code_of(groups.Create, self._group("b", self.client.account_id, expected)),
            "group changed": code_of(groups.Update, self._changed(expected, "")),
            "group's machines changed": code_of(groups.Update, self._changed(self.client.account_id, expected)),
        }

    def _group(self, name: str, account_id: str, machines: str) -> groups_rpc.CreateInstanceGroupRequest:
        request = self.client.request(name=name, template=self.client.template())
        request.service_account_id, request.instance_template.service_account_id = account_id, machines
        return request

    def _changed(self, account_id: str, machines: str) -> groups_rpc.UpdateInstanceGroupRequest:
        complete = self._group("", account_id, machines)
        request = groups_rpc.UpdateInstanceGroupRequest(instance_group_id=self.group_id)
        request.update_mask.paths.extend(["service_account_id", "instance_template"])
        for name in ("instance_template", "scale_policy", "deploy_policy", "allocation_policy"):
            getattr(request, name).CopyFrom(getattr(complete, name))
        request.service_account_id = account_id
        return request


def operators_key(cloud: RunningCloud) -> dict[str, str]:
    key: dict[str, str] = json.loads(Path(cloud.endpoint.key_file).read_text())
    return key


def instance(client: Groups, account_id: str = "", hostname: str = "") -> CreateInstanceRequest:
    folder_id = client.cloud.endpoint.folder_id
    request = CreateInstanceRequest(folder_id=folder_id, zone_id=ZONE, platform_id="standard-v3", hostname=hostname)
    request.service_account_id = account_id
    request.resources_spec.memory, request.resources_spec.cores = 2 << 30, 2
    disk = request.boot_disk_spec
    disk.mode, disk.disk_spec.type_id, disk.disk_spec.size = disk.READ_WRITE, "network-ssd", 5 << 30
    disk.disk_spec.image_id = client.image_id
    request.network_interface_specs.add(subnet_id=client.subnet_id)
    return request


@pytest.fixture
def client(cloud: RunningCloud) -> Groups:
    """The operator's, with an image, a subnet and an account for groups."""
    return Groups(cloud)


@pytest.fixture
def intruder(client: Groups) -> Intruder:
    """Return an intruder without a role; some tests grant one."""
    own, token = account(client.cloud, "intruder")
    group = groups_rpc.CreateInstanceGroupMetadata.FromString(client.create(size=1).metadata.value)
    machine = client.instances.Create(instance(client))
    machine_id = CreateInstanceMetadata.FromString(machine.metadata.value).instance_id
    return Intruder(client, own, client.cloud.channel(token), machine_id, group.instance_group_id)


@pytest.mark.parametrize("roles", [("editor",), ("compute.editor", "vpc.admin", "iam.serviceAccounts.user")])
def test_no_role_but_admin_lets_an_account_grant_itself_more(intruder: Intruder, roles: tuple[str, ...]) -> None:
    cloud = intruder.client.cloud
    for role in roles:
        grant(cloud, role, intruder.own)
    administrator, _ = account(cloud, "administrator")
    grant(cloud, "admin", administrator)
    assert {way: code for way, code in intruder.bind().items() if code is not DENIED} == {}
    assert {way: code for way, code in intruder.become(administrator).items() if code is not DENIED} == {}
    grant(cloud, "admin", intruder.own)
    assert {code for way, code in intruder.bind().items() if operators_key(cloud)["service_account_id"] not in way} == {
        OK
    }
    assert set(intruder.become(administrator).values()) == {OK}


@pytest.mark.parametrize("role", ["editor", "admin", "iam.admin"])
def test_no_role_leads_to_the_operators_own_account(intruder: Intruder, role: str) -> None:
    """It reaches the host, by the local hand and image storage; and nobody may take it from the operator."""
    cloud = intruder.client.cloud
    for each in (role, "compute.editor"):
        grant(cloud, each, intruder.own)
    key = operators_key(cloud)
    keys, accounts = KeyServiceStub(intruder.channel), ServiceAccountServiceStub(intruder.channel)
    tried = {
        **intruder.become(key["service_account_id"]),
        "keys": code_of(keys.List, ListKeysRequest(service_account_id=key["service_account_id"])),
        "key read": code_of(keys.Get, GetKeyRequest(key_id=key["id"])),
        "key deleted": code_of(keys.Delete, DeleteKeyRequest(key_id=key["id"])),
        "read": code_of(accounts.Get, GetServiceAccountRequest(service_account_id=key["service_account_id"])),
        "deleted": code_of(accounts.Delete, DeleteServiceAccountRequest(service_account_id=key["service_account_id"])),
    }
    assert {way: code for way, code in tried.items() if code not in {DENIED, NOT_FOUND}} == {}
    own = token_of(cloud, new_key(cloud, intruder.own))
    assert Rest(cloud, own).call("GET", "/localcloud/status")[0] == 403
    assert Rest(cloud, token_of(cloud, key)).call("GET", "/localcloud/status")[0] == 200


def test_a_caller_attaches_only_accounts_that_it_may_use(intruder: Intruder) -> None:
    cloud = intruder.client.cloud
    machines, _ = account(cloud, "machines")
    grant(cloud, "compute.editor", intruder.own)
    instances = InstanceServiceStub(intruder.channel)
    assert code_of(instances.Create, instance(intruder.client)) is OK
    assert code_of(instances.Create, instance(intruder.client, machines)) is DENIED
    bound = SetAccessBindingsRequest(
        resource_id=machines, access_bindings=[binding("iam.serviceAccounts.user", intruder.own)]
    )
    ServiceAccountServiceStub(cloud.channel()).SetAccessBindings(bound)
    assert code_of(instances.Create, instance(intruder.client, machines)) is OK
    other, _ = account(cloud, "other")
    assert code_of(instances.Create, instance(intruder.client, other)) is DENIED
    grant(cloud, "iam.serviceAccounts.user", intruder.own)
    assert code_of(instances.Create, instance(intruder.client, other)) is OK


@pytest.mark.parametrize("hostname", ["api", "metadata", "localhost"])
def test_names_that_a_network_answers_for_are_nobodys(client: Groups, hostname: str) -> None:
    assert code_of(client.instances.Create, instance(client, hostname=hostname)) is grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(client.instances.Create, instance(client, hostname=f"{hostname}-1")) is OK


@pytest.mark.parametrize(
    ("hostname", "message"),
    [
        ("web-{instance.index}\n10.1.0.66 api.internal", "is not a DNS name"),
        ("web-{instance.index},set:x", "is not a DNS name"),
        ("{name}", "is reserved"),
        ("api.internal", "is reserved"),
        ("fhm{instance.index}.auto.internal", "is reserved"),
    ],
)
def test_names_of_a_template_are_validated_with_their_variables_replaced(
    client: Groups, hostname: str, message: str
) -> None:
    template = client.template()
    template.hostname = hostname
    request = client.request(template=template)
    request.variables.add(key="name", value="api")
    client.groups.Create(request)
    refused = wait_until("the refusal", client.messages)
    assert message in refused[0]
    assert client.machines() == {}


def test_a_template_is_validated_with_its_variables_replaced(client: Groups) -> None:
    template = client.template()
    template.name = "Not-{instance.index}"
    client.groups.Create(client.request(template=template))
    refused = wait_until("the refusal", client.messages)
    assert "name" in refused[0]
    assert client.machines() == {}
