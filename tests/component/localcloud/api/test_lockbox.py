"""Secrets: what a version holds, who may read it, and that it shows nowhere else."""

from __future__ import annotations

import sqlite3
import stat
import string
import time
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue
from yandex.cloud.access.access_pb2 import SetAccessBindingsRequest
from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.payload_pb2 import Payload
from yandex.cloud.lockbox.v1.payload_service_pb2 import FolderAndName, GetExRequest, GetPayloadRequest
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub
from yandex.cloud.lockbox.v1.secret_pb2 import PasswordPayloadSpecification, Secret, Version
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandexcloud._sdk import SDK

from tests.support.calls import account, binding, code_of, grant
from tests.support.simulated import Rest, RunningCloud

TEXT = "correct horse battery staple"
PASSWORD = PasswordPayloadSpecification(password_key="password", length=20)


def _secrets(cloud: RunningCloud) -> SecretServiceStub:
    return SecretServiceStub(cloud.channel())


def _entry(key: str, text: str) -> rpc.PayloadEntryChange:
    return rpc.PayloadEntryChange(key=key, text_value=text)


def _create(cloud: RunningCloud, name: str = "db", *entries: rpc.PayloadEntryChange) -> Secret:
    request = rpc.CreateSecretRequest(
        folder_id=cloud.endpoint.folder_id, name=name, version_payload_entries=entries or [_entry("password", TEXT)]
    )
    return Secret.FromString(_secrets(cloud).Create(request).response.value)


def _generated(cloud: RunningCloud, specification: PasswordPayloadSpecification = PASSWORD) -> Secret:
    request = rpc.CreateSecretRequest(
        folder_id=cloud.endpoint.folder_id, name="made", password_payload_specification=specification
    )
    return Secret.FromString(_secrets(cloud).Create(request).response.value)


def _read(cloud: RunningCloud, secret_id: str, version_id: str = "", token: str | None = None) -> Payload:
    request = GetPayloadRequest(secret_id=secret_id, version_id=version_id)
    return PayloadServiceStub(cloud.channel(token)).Get(request)


def _texts(payload: Payload) -> dict[str, str]:
    return {entry.key: entry.text_value for entry in payload.entries}


def test_the_payload_that_was_added_is_read(cloud: RunningCloud) -> None:
    binary = rpc.PayloadEntryChange(key="cert", binary_value=b"\x00\xff")
    secret = _create(cloud, "db", _entry("password", TEXT), binary)
    assert secret.status == Secret.ACTIVE
    assert list(secret.current_version.payload_entry_keys) == ["password", "cert"]
    payload = _read(cloud, secret.id)
    assert payload.version_id == secret.current_version.id
    assert [(entry.text_value, entry.binary_value) for entry in payload.entries] == [(TEXT, b""), ("", b"\x00\xff")]
    named = FolderAndName(folder_id=cloud.endpoint.folder_id, secret_name="db")
    actual = PayloadServiceStub(cloud.channel()).GetEx(GetExRequest(folder_and_name=named))
    assert (actual.secret_id, dict(actual.entries)) == (secret.id, {"password": TEXT.encode(), "cert": b"\x00\xff"})


def test_a_new_version_changes_the_entries_that_it_names_and_keeps_the_old_version(cloud: RunningCloud) -> None:
    secret = _create(cloud, "db", _entry("a", "1"), _entry("b", "2"), _entry("c", "3"))
    changes = [_entry("b", "new"), rpc.PayloadEntryChange(key="c")]
    operation = _secrets(cloud).AddVersion(rpc.AddVersionRequest(secret_id=secret.id, payload_entries=changes))
    version = Version.FromString(operation.response.value)
    assert _texts(_read(cloud, secret.id)) == {"a": "1", "b": "new"}
    assert _texts(_read(cloud, secret.id, secret.current_version.id)) == {"a": "1", "b": "2", "c": "3"}
    listed = _secrets(cloud).ListVersions(rpc.ListVersionsRequest(secret_id=secret.id)).versions
    assert [each.id for each in listed] == [version.id, secret.current_version.id]
    based = rpc.AddVersionRequest(secret_id=secret.id, base_version_id=secret.current_version.id)
    _secrets(cloud).AddVersion(based)
    assert _texts(_read(cloud, secret.id)) == {"a": "1", "b": "2", "c": "3"}


def test_each_version_has_a_new_password_by_the_specification(cloud: RunningCloud) -> None:
    secret = _generated(cloud)
    first = _texts(_read(cloud, secret.id))["password"]
    assert len(first) == 20
    for kind in (string.ascii_uppercase, string.ascii_lowercase, string.digits, string.punctuation):
        assert set(first) & set(kind)
    _secrets(cloud).AddVersion(rpc.AddVersionRequest(secret_id=secret.id))
    assert _texts(_read(cloud, secret.id))["password"] != first


def test_a_password_without_punctuation_has_none(cloud: RunningCloud) -> None:
    specification = PasswordPayloadSpecification(
        password_key="p", length=256, include_punctuation=BoolValue(value=False), include_digits=BoolValue(value=False)
    )
    created = _texts(_read(cloud, _generated(cloud, specification).id))["p"]
    assert set(created) <= set(string.ascii_letters)
    some = PasswordPayloadSpecification(password_key="p", length=4, included_punctuation="-_")
    assert len(set(_texts(_read(cloud, _secret_of(cloud, some).id))["p"]) & set("-_")) == 1


def _secret_of(cloud: RunningCloud, specification: PasswordPayloadSpecification) -> Secret:
    request = rpc.CreateSecretRequest(folder_id=cloud.endpoint.folder_id, password_payload_specification=specification)
    return Secret.FromString(_secrets(cloud).Create(request).response.value)


@pytest.mark.parametrize(
    "specification",
    [
        PasswordPayloadSpecification(password_key="p", length=3),
        PasswordPayloadSpecification(password_key="p", included_punctuation="-", excluded_punctuation="_"),
        PasswordPayloadSpecification(password_key="p", included_punctuation="abc"),
        PasswordPayloadSpecification(password_key="p", length=257),
        PasswordPayloadSpecification(password_key=""),
    ],
)
def test_a_password_that_cannot_be_is_refused(cloud: RunningCloud, specification: PasswordPayloadSpecification) -> None:
    assert code_of(_secret_of, cloud, specification) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("role", ["lockbox.payloadViewer", "admin", "editor"])
@pytest.mark.parametrize("where", ["secret", "folder"])
def test_a_reader_reads(cloud: RunningCloud, role: str, where: str) -> None:
    secret = _create(cloud)
    account_id, token = account(cloud)
    assert code_of(_read, cloud, secret.id, token=token) is grpc.StatusCode.PERMISSION_DENIED
    if where == "folder":
        grant(cloud, role, account_id)
    else:
        bindings = [binding(role, account_id)]
        request = SetAccessBindingsRequest(resource_id=secret.id, access_bindings=bindings)
        _secrets(cloud).SetAccessBindings(request)
    assert _texts(_read(cloud, secret.id, token=token)) == {"password": TEXT}


def test_a_role_on_one_secret_opens_no_other(cloud: RunningCloud) -> None:
    mine, other = _create(cloud, "mine"), _create(cloud, "other")
    account_id, token = account(cloud)
    request = SetAccessBindingsRequest(
        resource_id=mine.id, access_bindings=[binding("lockbox.payloadViewer", account_id)]
    )
    _secrets(cloud).SetAccessBindings(request)
    assert _texts(_read(cloud, mine.id, token=token)) == {"password": TEXT}
    assert code_of(_read, cloud, other.id, token=token) is grpc.StatusCode.PERMISSION_DENIED
    with_token = SecretServiceStub(cloud.channel(token))
    opened = SetAccessBindingsRequest(resource_id=other.id, access_bindings=request.access_bindings)
    assert code_of(with_token.SetAccessBindings, opened) is grpc.StatusCode.PERMISSION_DENIED


def test_a_viewer_sees_secrets_and_not_what_they_hold(cloud: RunningCloud) -> None:
    secret = _create(cloud)
    account_id, token = account(cloud)
    grant(cloud, "viewer", account_id)
    actual = SecretServiceStub(cloud.channel(token)).Get(rpc.GetSecretRequest(secret_id=secret.id))
    assert actual == secret
    assert code_of(_read, cloud, secret.id, token=token) is grpc.StatusCode.PERMISSION_DENIED


def test_a_payload_shows_in_no_log_and_no_operation(cloud: RunningCloud, capfd: pytest.CaptureFixture[str]) -> None:
    secret = _create(cloud)
    rest = Rest(cloud)
    path = f"/lockbox/v1/secrets/{secret.id}"
    assert rest.call("GET", f"{path}/payload")[1]["entries"] == [{"key": "password", "textValue": TEXT}]
    too_long = {"payloadEntries": [{"key": "bad key", "textValue": TEXT}]}
    status, error = rest.call("POST", f"{path}:addVersion", too_long)
    assert (status, TEXT in str(error)) == (400, False)
    operations = rest.call("GET", f"{path}/operations")[1]
    assert operations["operations"]
    assert TEXT not in str(operations)
    assert TEXT not in "".join(capfd.readouterr())


def test_the_store_is_for_root_alone(cloud: RunningCloud) -> None:
    _create(cloud)
    files = list(cloud.home.root.glob("cloud.sqlite*"))
    assert len(files) > 1
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_payload_of_a_deactivated_secret_is_refused(cloud: RunningCloud) -> None:
    secret = _create(cloud)
    _secrets(cloud).Deactivate(rpc.DeactivateSecretRequest(secret_id=secret.id))
    assert code_of(_read, cloud, secret.id) is grpc.StatusCode.FAILED_PRECONDITION
    _secrets(cloud).Activate(rpc.ActivateSecretRequest(secret_id=secret.id))
    assert _texts(_read(cloud, secret.id)) == {"password": TEXT}


def test_a_version_is_destroyed_when_its_time_has_come(cloud: RunningCloud) -> None:
    secret = _create(cloud)
    old = secret.current_version.id
    request = rpc.ScheduleVersionDestructionRequest(secret_id=secret.id, version_id=old)
    _secrets(cloud).AddVersion(rpc.AddVersionRequest(secret_id=secret.id, payload_entries=[_entry("password", "x")]))
    _secrets(cloud).ScheduleVersionDestruction(request)
    assert code_of(_read, cloud, secret.id, old) is grpc.StatusCode.FAILED_PRECONDITION
    _secrets(cloud).CancelVersionDestruction(rpc.CancelVersionDestructionRequest(secret_id=secret.id, version_id=old))
    assert _texts(_read(cloud, secret.id, old)) == {"password": TEXT}
    request.pending_period.CopyFrom(Duration(nanos=1000))
    _secrets(cloud).ScheduleVersionDestruction(request)
    time.sleep(0.01)
    versions = _secrets(cloud).ListVersions(rpc.ListVersionsRequest(secret_id=secret.id)).versions
    assert {version.id: version.status for version in versions}[old] == Version.DESTROYED
    assert code_of(_read, cloud, secret.id, old) is grpc.StatusCode.FAILED_PRECONDITION


def test_a_deleted_secret_leaves_nothing_to_read(cloud: RunningCloud) -> None:
    secret = _create(cloud)
    _secrets(cloud).Delete(rpc.DeleteSecretRequest(secret_id=secret.id))
    assert code_of(_read, cloud, secret.id) is grpc.StatusCode.NOT_FOUND
    with closing(sqlite3.connect(cloud.home.database)) as store:
        assert store.execute("SELECT count(*) FROM note WHERE id = ?", (secret.current_version.id,)).fetchone() == (0,)


def test_an_invalid_version_is_refused(cloud: RunningCloud) -> None:
    folder_id = cloud.endpoint.folder_id
    both = rpc.CreateSecretRequest(
        folder_id=folder_id, version_payload_entries=[_entry("a", "1")], password_payload_specification=PASSWORD
    )
    nothing = rpc.CreateSecretRequest(folder_id=folder_id, create_version=BoolValue(value=True))
    halves = [_entry(str(number), "x" * 40000) for number in range(2)]
    large = rpc.CreateSecretRequest(folder_id=folder_id, version_payload_entries=halves)
    for request in (both, nothing, large):
        assert code_of(_secrets(cloud).Create, request) is grpc.StatusCode.INVALID_ARGUMENT
    empty = Secret.FromString(_secrets(cloud).Create(rpc.CreateSecretRequest(folder_id=folder_id)).response.value)
    assert not empty.HasField("current_version")
    assert _texts(_read(cloud, empty.id)) == {}
    assert code_of(_read, cloud, empty.id, "e6qnothere") is grpc.StatusCode.NOT_FOUND


def test_the_newest_other_version_becomes_current_when_the_current_one_is_destroyed(cloud: RunningCloud) -> None:
    secret = _create(cloud)
    add = rpc.AddVersionRequest(secret_id=secret.id, payload_entries=[_entry("password", "x")])
    newest = Version.FromString(_secrets(cloud).AddVersion(add).response.value)
    _secrets(cloud).ScheduleVersionDestruction(
        rpc.ScheduleVersionDestructionRequest(secret_id=secret.id, version_id=newest.id)
    )
    assert _texts(_read(cloud, secret.id)) == {"password": TEXT}


def test_two_secrets_may_have_one_name_and_an_empty_text_removes_its_key(cloud: RunningCloud) -> None:
    """The provider's own acceptance tests make them so (v0.129.0)."""
    first, second = _create(cloud), _create(cloud)
    assert first.name == second.name
    entries = [_entry("password", ""), _entry("other", "x")]
    _secrets(cloud).AddVersion(rpc.AddVersionRequest(secret_id=first.id, payload_entries=entries))
    assert _texts(_read(cloud, first.id)) == {"other": "x"}


def test_the_sdk_finds_both_services(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    sdk = SDK(
        endpoint=cloud.endpoint.grpc,
        iam_token=cloud.endpoint.token,
        root_certificates=Path(cloud.endpoint.ca).read_bytes(),
    )
    secret = _create(cloud)
    listed = sdk.client(SecretServiceStub).List(rpc.ListSecretsRequest(folder_id=cloud.endpoint.folder_id))
    assert list(listed.secrets) == [secret]
    payload = sdk.client(PayloadServiceStub).Get(GetPayloadRequest(secret_id=secret.id))
    assert _texts(payload) == {"password": TEXT}
