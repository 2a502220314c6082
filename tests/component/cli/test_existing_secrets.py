"""Secrets that exist already: machines get the right to read them, and they are never changed or deleted."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from yandex.cloud.access.access_pb2 import ListAccessBindingsRequest, SetAccessBindingsRequest
from yandex.cloud.lockbox.v1.secret_service_pb2 import (
    CreateSecretMetadata,
    CreateSecretRequest,
    DeactivateSecretRequest,
    DeleteSecretRequest,
    GetSecretRequest,
    PayloadEntryChange,
)
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.core.errors import ConfigError
from samovar.deploy.existing import check_existing_secrets
from samovar.deploy.plan import Action
from samovar.deploy.resources.handler import Context
from samovar.deploy.resources.resource import Existing, Kind, Ref, Resource, Unchanged
from samovar.deploy.resources.service_account import ServiceAccount, ServiceAccountHandler
from samovar.deploy.secrets import secret_statuses, set_value
from samovar.project.environment import Environment
from tests.support.checkout import ROOT, environment
from tests.support.service import Service

ACCOUNT = Ref(Kind.SERVICE_ACCOUNT, "dev-bingo")
LINE = "postgres_password: password"  # pragma: allowlist secret - a kind


@pytest.fixture
def secret(service: Service) -> str:
    """Create a secret with two entries outside of the environment."""
    entries = [PayloadEntryChange(key=key, text_value="quiet") for key in ("user", "password")]
    return make_secret(service, "corporate", entries)


def make_secret(service: Service, name: str, entries: list[PayloadEntryChange]) -> str:
    client, folder = service.session.client(SecretServiceStub), service.session.folder_id
    request = CreateSecretRequest(folder_id=folder, name=name, version_payload_entries=entries)
    operation = client.Create(request)
    service.session.finish(operation, what=name)
    metadata = CreateSecretMetadata()
    operation.metadata.Unpack(metadata)
    return metadata.secret_id


def write(folder: Path, secret_id: str) -> Environment:
    """`dev`, whose database has the password that is in that secret."""
    text = (ROOT / "envs/dev/config.yaml").read_text()
    (folder / "dev").mkdir(exist_ok=True)
    (folder / "dev/config.yaml").write_text(text.replace(LINE, f"postgres_password: {{id: {secret_id}}}"))
    return environment("dev", folder)


@pytest.fixture
def dev(tmp_path: Path, secret: str) -> Environment:
    return write(tmp_path, secret)


def readers(service: Service, secret: str) -> set[str]:
    request = ListAccessBindingsRequest(resource_id=secret)
    bindings = service.session.client(SecretServiceStub).ListAccessBindings(request).access_bindings
    return {binding.subject.id for binding in bindings if binding.role_id == "lockbox.payloadViewer"}


def test_machines_may_read_an_existing_secret_for_as_long_as_the_environment_is_there(
    service: Service, dev: Environment, secret: str
) -> None:
    client = service.session.client(SecretServiceStub)
    before = client.Get(GetSecretRequest(secret_id=secret))
    check_existing_secrets(service.session, dev)
    plan = service.plan(dev)
    assert plan.used == (Unchanged(Kind.SECRET, secret, secret),)
    assert "dev-postgres-password" not in {step.ref.name for step in plan.all_steps if step.ref.kind is Kind.SECRET}
    service.roll_out(dev)
    assert service.plan(dev).all_steps == ()
    ids = service.ids(dev)
    accounts = {ids[Ref(Kind.SERVICE_ACCOUNT, f"dev-{group}")] for group in ("bingo", "postgres")}
    assert readers(service, secret) == accounts
    settings = yaml.safe_load(service.machine("dev-bingo-1").metadata["samovar-settings"])
    assert settings["secrets"] == {"postgres_password": secret}
    service.destroy(dev, delete_data=True)
    assert readers(service, secret) == set()
    assert client.Get(GetSecretRequest(secret_id=secret)) == before


def test_an_environment_whose_secret_was_deleted_can_be_destroyed(
    service: Service, dev: Environment, secret: str
) -> None:
    service.roll_out(dev)
    client = service.session.client(SecretServiceStub)
    service.session.finish(client.Delete(DeleteSecretRequest(secret_id=secret)), what="delete")
    service.destroy(dev, delete_data=True)
    assert service.ids(dev).keys() == {Ref(Kind.SECRET, secret)}


def test_a_right_that_was_taken_is_given_back_by_the_next_rollout(
    service: Service, dev: Environment, secret: str
) -> None:
    service.roll_out(dev)
    given = readers(service, secret)
    no_bindings = SetAccessBindingsRequest(resource_id=secret, access_bindings=[])
    service.session.finish(service.session.client(SecretServiceStub).SetAccessBindings(no_bindings), what="take all")
    steps = service.plan(dev).all_steps
    assert {(step.action, step.ref.kind, step.reason) for step in steps} == {
        (Action.UPDATE, Kind.SERVICE_ACCOUNT, f"secrets: none -> {secret}")
    }
    service.roll_out(dev)
    assert readers(service, secret) == given


def test_a_right_is_taken_when_the_file_names_the_secret_no_more(
    service: Service, dev: Environment, tmp_path: Path, secret: str
) -> None:
    """The right to another secret replaces it; a destruction by a file that names no secret removes that, too."""
    service.roll_out(dev)
    other = make_secret(service, "other", [PayloadEntryChange(key="password", text_value="quiet")])
    changed_file = write(tmp_path, other)
    steps = [step for step in service.plan(changed_file).all_steps if step.ref.kind is Kind.SERVICE_ACCOUNT]
    assert {step.reason for step in steps} == {f"secrets: {secret} -> {other}"}
    account = service.ids(dev)[ACCOUNT]
    service.roll_out(changed_file)
    assert service.plan(changed_file).all_steps == ()
    assert readers(service, secret) == set()
    assert account in readers(service, other)
    service.destroy(load_own(), delete_data=True)
    assert readers(service, other) == set()


@pytest.mark.parametrize("step", range(4))
def test_the_next_rollout_removes_the_rights_that_an_interrupted_one_left(
    service: Service, dev: Environment, tmp_path: Path, secret: str, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    service.roll_out(dev)
    other = make_secret(service, "other", [PayloadEntryChange(key="password", text_value="quiet")])
    changed_file, left, finish = write(tmp_path, other), [step], service.session.finish

    def dies(operation: Operation, *, what: str, timeout: float | None = None) -> Operation:
        done = finish(operation, what=what, timeout=timeout)
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return done

    ids = service.ids(dev)
    bingo = Existing("dev-bingo", ServiceAccount(users=("dev-groups",), secrets=(secret,)), "bingo", ids[ACCOUNT])
    desired = Resource("dev-bingo", replace(bingo.spec, secrets=(other,)), "bingo")
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(service.session, "finish", dies)
        ServiceAccountHandler().update(Context(service.session, "dev", ids, {}), bingo, desired, ("secrets",))
    service.roll_out(changed_file)
    assert readers(service, secret) == set()
    assert len(readers(service, other)) == 2


def load_own() -> Environment:
    """`dev` as it is shipped, which names no secret of others."""
    return environment("dev")


def test_an_existing_secret_is_not_the_environments_to_change(service: Service, dev: Environment) -> None:
    with pytest.raises(ConfigError, match="exists already, and is not the environment's to change"):
        set_value(service.session, dev, "postgres_password", {"value": b"loud"})
    assert {each.name for each in secret_statuses(service.session, dev)} == {"certificate"}


def test_a_secret_that_is_not_there_or_has_no_value_is_an_error_with_its_line(
    service: Service, tmp_path: Path, secret: str
) -> None:
    empty = make_secret(service, "empty", [])
    off = make_secret(service, "off", [PayloadEntryChange(key="a", text_value="b")])
    deactivate = DeactivateSecretRequest(secret_id=off)
    service.session.finish(service.session.client(SecretServiceStub).Deactivate(deactivate), what="off")
    for secret_id, message in (
        ("e6qnothere", "not there"),
        (empty, "(empty) is without a value"),
        (off, "is INACTIVE"),
    ):
        dev = write(tmp_path, secret_id)
        with pytest.raises(ConfigError) as error:
            check_existing_secrets(service.session, dev)
        text = (tmp_path / "dev/config.yaml").read_text().splitlines()
        line = next(number for number, each in enumerate(text, 1) if secret_id in each)
        assert error.value.message.startswith(f"{tmp_path / 'dev/config.yaml'}:{line}: secrets.postgres_password: ")
        assert message in error.value.message
    check_existing_secrets(service.session, write(tmp_path, secret))
