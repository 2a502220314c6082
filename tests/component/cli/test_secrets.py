"""The secrets that an operator provides, against the real API over a simulated host."""

from __future__ import annotations

from datetime import timedelta

import pytest
from yandex.cloud.lockbox.v1.payload_service_pb2 import GetPayloadRequest
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub
from yandex.cloud.lockbox.v1.secret_service_pb2 import CreateSecretRequest, PayloadEntryChange
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub

from samovar.core.certificates import self_signed
from samovar.core.errors import ConfigError, ExitCode
from samovar.deploy.lock import locked
from samovar.deploy.observe import observe
from samovar.deploy.plan import Action
from samovar.deploy.resources.resource import Kind, Ref
from samovar.deploy.resources.secret import CLOCK_SKEW, read_certificates
from samovar.deploy.secrets import check_kinds, check_provided, rotate, secret_statuses, set_value
from samovar.project.environment import Environment
from samovar.project.environment_options import SecretKind
from tests.support.checkout import environment as load_environment
from tests.support.environments import changed
from tests.support.service import Service
from tests.support.tool import EDGES, Cli

API_KEY = Ref(Kind.SECRET, "dev-api-key")


@pytest.fixture
def dev() -> Environment:
    """Its bingo may read a secret that the operator provides."""
    shipped = load_environment("dev")
    secrets = {**shipped.secrets, "api_key": SecretKind.PROVIDED}
    bingo = changed(shipped.group("bingo"), secrets={**shipped.group("bingo").secrets, "api_key": "api_key"})
    groups = tuple(bingo if group.name == "bingo" else group for group in shipped.groups)
    return changed(shipped, secrets=secrets, groups=groups)


def put(service: Service, dev: Environment, name: str, **entries: bytes) -> None:
    service.session.finish(set_value(service.session, dev, name, entries), what=name)


def payload(service: Service, dev: Environment, ref: Ref) -> dict[str, str | bytes]:
    request = GetPayloadRequest(secret_id=service.ids(dev)[ref])
    entries = service.session.client(PayloadServiceStub).Get(request).entries
    return {entry.key: entry.text_value or entry.binary_value for entry in entries}


def test_a_rollout_without_the_value_is_refused_with_the_command_that_gives_it(
    service: Service, dev: Environment
) -> None:
    with pytest.raises(ConfigError, match=r"config.yaml:\d+: secrets.*: secret api_key has no value yet") as error:
        check_provided(dev, observe(service.session, "dev"))
    assert error.value.remedy == "samovar secret set dev api_key < FILE"
    put(service, dev, "api_key", value=b"first")
    check_provided(dev, observe(service.session, "dev"))


def test_up_bakes_nothing_where_a_secret_has_no_value(cli: Cli) -> None:
    cli.write("dev", EDGES.read_text().replace("groups:", "secrets: {api_key: provided}\ngroups:", 1))
    cli.run("cloud", "up", "--machines", "simulated")
    refused = cli.run("up", "dev", "--yes", check=False)
    assert refused.code == ExitCode.CONFIG
    message, remedy = refused.stderr.splitlines()
    assert "secret api_key has no value yet" in message
    assert "secret set dev api_key < FILE" in remedy


def test_a_password_is_rotated_under_the_lock_of_the_environment(cli: Cli) -> None:
    cli.write("dev", EDGES.read_text().replace("groups:", "secrets: {postgres_password: password}\ngroups:", 1))
    cli.run("cloud", "up", "--machines", "simulated")
    with locked(cli.session(), "dev"):
        refused = cli.run("secret", "rotate", "dev", "postgres_password", check=False)
    assert refused.code == ExitCode.LOCKED


def test_a_value_given_before_the_rollout_is_read_by_its_group_alone(service: Service, dev: Environment) -> None:
    put(service, dev, "api_key", value=b"first")
    service.roll_out(dev)
    assert service.plan(dev).all_steps == ()
    machine = service.machine("dev-bingo-1").metadata["samovar-settings"]
    assert f"api_key: {service.ids(dev)[API_KEY]}" in machine
    assert "first" not in machine
    (status,) = [each for each in secret_statuses(service.session, dev) if each.name == "api_key"]
    assert (status.type, status.entries, status.groups) == ("provided", ("value",), ("bingo",))


def test_a_new_value_replaces_all_entries_of_the_former_one(service: Service, dev: Environment) -> None:
    put(service, dev, "api_key", user=b"a", token=b"b")
    put(service, dev, "api_key", token=b"c", blob=b"\xff\x00")
    assert payload(service, dev, API_KEY) == {"token": "c", "blob": b"\xff\x00"}


def test_a_destroyed_environment_has_no_provided_secret_left(service: Service, dev: Environment) -> None:
    put(service, dev, "api_key", value=b"first")
    service.roll_out(dev)
    service.destroy(dev, delete_data=True)
    assert service.ids(dev) == {}


def test_rotation_changes_a_password_and_no_other_secret(service: Service, dev: Environment) -> None:
    put(service, dev, "api_key", value=b"first")
    service.roll_out(dev)
    secret = service.ids(dev)[Ref(Kind.SECRET, "dev-postgres-password")]
    former = service.payload(secret)
    service.session.finish(rotate(service.session, dev, "postgres_password"), what="rotate")
    assert len(service.payload(secret)) == len(former)
    assert service.payload(secret) != former
    assert service.plan(dev).all_steps == ()
    with pytest.raises(ConfigError, match="api_key of dev is of the kind provided") as error:
        rotate(service.session, dev, "api_key")
    assert error.value.remedy == "give it a new value: samovar secret set dev api_key < FILE"
    with pytest.raises(ConfigError, match="certificate of dev is of the kind certificate") as error:
        rotate(service.session, dev, "certificate")
    assert error.value.remedy.endswith("samovar secret set dev certificate --entry cert=FILE --entry key=FILE")


def test_a_secret_of_another_kind_needs_another_name_with_which_no_group_is_deleted(
    service: Service, dev: Environment
) -> None:
    put(service, dev, "api_key", value=b"first")
    service.roll_out(dev)
    other = changed(dev, secrets={**dev.secrets, "api_key": SecretKind.PASSWORD})
    with pytest.raises(ConfigError, match="secret api_key is of the kind provided in the cloud, and stays so") as error:
        check_kinds(other, service.observed(other))
    assert error.value.remedy == (
        "keep api_key: provided, or give the password another name, and its groups secrets: {api_key: NAME}"
    )
    with pytest.raises(ConfigError, match="is of the kind provided"):
        rotate(service.session, other, "api_key")
    bound = changed(dev.group("bingo"), secrets={**dev.group("bingo").secrets, "api_key": "made_key"})
    groups = tuple(bound if group.name == "bingo" else group for group in dev.groups)
    kinds = {**dev.secrets, "made_key": SecretKind.PASSWORD}
    named = changed(dev, secrets={name: kind for name, kind in kinds.items() if name != "api_key"}, groups=groups)
    check_kinds(named, service.observed(named))
    steps = [(step.action, step.ref) for step in service.plan(named).all_steps]
    assert steps == [
        (Action.CREATE, Ref(Kind.SECRET, "dev-made-key")),
        (Action.UPDATE, Ref(Kind.INSTANCE_GROUP, "dev-bingo")),
        (Action.DELETE, API_KEY),
    ]


def test_an_operators_certificate_replaces_the_self_signed_one(service: Service, dev: Environment) -> None:
    put(service, dev, "api_key", value=b"first")
    service.roll_out(dev)
    own, other = (self_signed("shop.example", ["shop.example"], skew=CLOCK_SKEW) for _ in range(2))
    with pytest.raises(ConfigError, match="the key is not that of the certificate"):
        put(service, dev, "certificate", cert=own.cert.encode(), key=other.key.encode())
    old = self_signed("shop.example", ["shop.example"], skew=CLOCK_SKEW, lifetime=timedelta(seconds=-1))
    with pytest.raises(ConfigError, match="the certificate expired at 20"):
        put(service, dev, "certificate", cert=old.cert.encode(), key=old.key.encode())
    put(service, dev, "certificate", cert=own.cert.encode(), key=own.key.encode())
    assert payload(service, dev, Ref(Kind.SECRET, "dev-certificate")) == {"cert": own.cert, "key": own.key}
    assert service.plan(dev).all_steps == ()


def test_the_environments_own_certificate_is_read_beside_another_secret_of_its_name(
    service: Service, dev: Environment
) -> None:
    """Lockbox takes a name twice."""
    service.roll_out(dev)
    foreign = self_signed("shop.example", ["shop.example"], skew=CLOCK_SKEW)
    entry = PayloadEntryChange(key="cert", text_value=foreign.cert)
    request = CreateSecretRequest(
        folder_id=service.session.folder_id, name="dev-certificate", version_payload_entries=[entry]
    )
    service.session.finish(service.session.client(SecretServiceStub).Create(request), what="secret")
    own = payload(service, dev, Ref(Kind.SECRET, "dev-certificate"))["cert"]
    assert read_certificates(service.session, dev) == (own,)


@pytest.mark.parametrize(
    ("name", "entries", "message", "remedy"),
    [
        ("other", {"value": b"x"}, "dev has no secret other", "there: certificate, postgres_password, api_key"),
        ("postgres_password", {"value": b"x"}, "is a password, which Lockbox makes up", "secret rotate dev postgres_p"),
        ("certificate", {"value": b"x"}, "is a certificate", "--entry cert=FILE and --entry key=FILE"),
        ("certificate", {"cert": b"x", "key": b"y"}, "no certificate and key in PEM", "a key without a password"),
        ("api_key", {"value": b""}, "an empty value", "a file that is not empty"),
        ("api_key", {"value": b"x" * 65537}, "over 64 KiB", "give less"),
    ],
)
def test_a_value_that_a_secret_cannot_hold_is_refused(
    service: Service, dev: Environment, name: str, entries: dict[str, bytes], message: str, remedy: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        set_value(service.session, dev, name, entries)
    assert remedy in error.value.remedy
    assert service.ids(dev) == {}
