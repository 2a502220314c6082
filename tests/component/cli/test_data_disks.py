"""The tool records the rows on data disks, on the real API over a simulated host."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.access.access_pb2 import ListAccessBindingsRequest
from yandex.cloud.compute.v1.instance_service_pb2 import GetInstanceRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.lockbox.v1.secret_service_pb2 import GetSecretRequest, UpdateSecretRequest
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub

import samovar.deploy.machines
import samovar.deploy.rollout
import samovar.deploy.wait
from samovar.cloud.labels import of_image
from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ConfigError, WaitTimeout
from samovar.core.output import PlainReporter
from samovar.deploy.observe import observe
from samovar.deploy.plan import Action
from samovar.deploy.read_status import read_status_and_record
from samovar.deploy.resources.registry import HANDLERS
from samovar.deploy.resources.resource import Kind, Ref
from samovar.deploy.resources.seed_record import record_healthy
from samovar.deploy.rollout import Prepared, check_environment, roll_out
from samovar.deploy.status import RUNNING, GroupStatus, MachineStatus, Status
from samovar.deploy.wait import wait_until_healthy
from samovar.images.publish import adopt
from samovar.project.environment import Environment
from tests.support.calls import account, grant
from tests.support.service import DIGEST, DISK, RECORD, Service
from tests.support.simulated import RunningCloud


def status_of(group: str, *, healthy: bool = True, image: str = "image") -> Status:
    """`dev`, of which that group alone is looked at."""
    machine = MachineStatus(f"dev-{group}-1", "a", "10.30.0.3", RUNNING if healthy else "CHECKING_HEALTH", image, None)
    return Status("dev", (GroupStatus(group, 1, "image", (machine,)),))


def record(session: Session, status: Status) -> tuple[str, ...]:
    return record_healthy(session, status.environment, status.healthy_groups)


def test_a_seed_record_lives_as_long_as_its_rows_and_changes_no_machine(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    record_id = service.ids(dev)[RECORD]
    settings = service.machine("dev-postgres-1").metadata["samovar-settings"]
    assert f"seeded: {record_id}" in settings
    assert service.payload(record_id) == "no"
    assert "it is not recorded yet" in str(record(service.session, status_of("postgres", healthy=False)))
    assert service.payload(record_id) == "no"
    for _ in range(2):
        assert record(service.session, status_of("postgres")) == ()
        assert service.payload(record_id) == "yes"
    assert service.plan(dev).all_steps == ()
    service.destroy(dev)
    service.roll_out(dev)
    assert service.ids(dev)[RECORD] == record_id
    assert service.payload(record_id) == "yes"
    assert service.plan(dev).all_steps == ()
    account = service.ids(dev)[Ref(Kind.SERVICE_ACCOUNT, "dev-postgres")]
    request = ListAccessBindingsRequest(resource_id=record_id)
    (binding,) = service.session.client(SecretServiceStub).ListAccessBindings(request).access_bindings
    assert (binding.role_id, binding.subject.id) == ("lockbox.payloadViewer", account)
    service.destroy(dev, delete_data=True)
    assert service.ids(dev) == {}
    service.roll_out(dev)
    assert service.payload(service.ids(dev)[RECORD]) == "no"


def lose_the_data_disk(service: Service, dev: Environment) -> str:
    """Delete it by hand, as its group, which holds it; return its id."""
    there = {actual.ref: actual for actual in observe(service.session, dev.name).resources}
    for ref in (Ref(Kind.INSTANCE_GROUP, "dev-postgres"), DISK):
        service.session.finish(HANDLERS[ref.kind].delete(service.session, there[ref]), what=f"delete {ref}")
    return there[DISK].id


def test_a_disk_that_replaces_a_lost_one_is_never_seeded_even_where_the_rows_were_not_recorded(
    service: Service, dev: Environment
) -> None:
    """The rollout before timed out, and nobody looked since."""
    service.roll_out(dev)
    record_id = service.ids(dev)[RECORD]
    lost = lose_the_data_disk(service, dev)
    changes = {(step.action, step.ref): step.reason for step in service.plan(dev).all_steps}
    assert changes[Action.UPDATE, RECORD] == f"disk: {lost} -> dev-postgres-data"
    assert (Action.CREATE, DISK) in changes
    assert service.payload(record_id) == "no"
    service.roll_out(dev)
    assert service.payload(record_id) == "yes"
    assert service.ids(dev)[RECORD] == record_id
    assert service.plan(dev).all_steps == ()
    service.destroy(dev, delete_data=True)
    service.roll_out(dev)
    assert service.payload(service.ids(dev)[RECORD]) == "no"


def test_an_image_of_another_format_than_the_rows_is_refused_before_anything_is_done(
    service: Service, dev: Environment
) -> None:
    """Also after the group is gone; another disk may have rows of any format."""
    name = service.names["postgres"]
    image_id = dict(service.observed(dev).images)[name]
    adopt(service.session, image_id, name, of_image("postgres", DIGEST, DIGEST, "postgresql-16"))
    service.roll_out(dev)
    check_environment(service.session, dev)
    assert record(service.session, status_of("postgres", image=name)) == ()
    refusal = "the data disk of group postgres has rows of postgresql-16, and its image reads postgresql-17"
    with pytest.raises(ConfigError, match=rf"config.yaml:\d+: groups.postgres.image: {refusal}") as refused:
        check_environment(service.session, dev)
    assert refused.value.remedy.startswith("give the group an image of postgresql-16")
    service.destroy(dev)
    with pytest.raises(ConfigError, match="has rows of postgresql-16"):
        check_environment(service.session, dev)

    service.roll_out(dev)
    lose_the_data_disk(service, dev)
    service.roll_out(dev)
    assert service.payload(service.ids(dev)[RECORD]) == "yes"
    check_environment(service.session, dev)


def test_a_format_is_recorded_for_rows_that_were_recorded_without_one(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    name = service.names["postgres"]
    assert record(service.session, status_of("postgres", image=name)) == ()
    check_environment(service.session, dev)
    image_id = dict(service.observed(dev).images)[name]
    adopt(service.session, image_id, name, of_image("postgres", DIGEST, DIGEST, "postgresql-16"))
    assert record(service.session, status_of("postgres", healthy=False)) == ()
    check_environment(service.session, dev)
    assert record(service.session, status_of("postgres", image=name)) == ()
    with pytest.raises(ConfigError, match="has rows of postgresql-16"):
        check_environment(service.session, dev)


def test_a_record_of_a_former_version_gets_the_id_of_its_disk_and_no_other_change(
    service: Service, dev: Environment
) -> None:
    service.roll_out(dev)
    record_id, disk_id = service.ids(dev)[RECORD], service.ids(dev)[DISK]
    secrets = service.session.client(SecretServiceStub)
    labels = dict(secrets.Get(GetSecretRequest(secret_id=record_id)).labels)
    assert labels.pop("disk") == disk_id
    request = UpdateSecretRequest(secret_id=record_id, update_mask=FieldMask(paths=["labels"]), labels=labels)
    service.session.finish(secrets.Update(request), what="the label goes")
    (change,) = service.plan(dev).all_steps
    assert (change.ref, change.reason) == (RECORD, "disk: none -> dev-postgres-data")
    service.roll_out(dev)
    assert secrets.Get(GetSecretRequest(secret_id=record_id)).labels["disk"] == disk_id
    assert service.payload(record_id) == "no"


def test_a_viewer_gets_a_warning_about_rows_that_are_not_recorded(
    cloud: RunningCloud, service: Service, dev: Environment
) -> None:
    service.roll_out(dev)
    account_id, token = account(cloud, "looks")
    grant(cloud, "viewer", account_id)
    viewer = Session(replace(service.session.access, token=token, local=False))
    (warning,) = record(viewer, status_of("postgres"))
    assert warning.startswith("postgres: it is not recorded yet that its data disk has rows (dev-postgres-seeded): ")
    assert "PERMISSION_DENIED" in warning
    assert service.payload(service.ids(dev)[RECORD]) == "no"
    (warning,) = read_status_and_record(viewer, dev).warnings
    assert "it is not recorded yet" in warning


@pytest.mark.parametrize("error", [WaitTimeout("not after 2 s"), KeyboardInterrupt()])
def test_a_failed_rollout_records_rows_before_it_ends(
    service: Service, dev: Environment, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Simulated machines have no health; that of the group with the disk is made up."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(samovar.deploy.rollout, "wait_until_healthy", fail)
    monkeypatch.setattr(samovar.deploy.rollout, "read_status", lambda *_: status_of("postgres"))
    observed = observe(service.session, dev.name)
    with pytest.raises(type(error)):
        roll_out(service.session, dev, Prepared(service.plan(dev), observed), PlainReporter(), timeout=2)
    assert service.payload(service.ids(dev)[RECORD]) == "yes"


def test_a_rollout_fails_before_it_records_rows_of_a_disk_that_is_deleted_with_its_machine(
    service: Service, dev: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The health of the group with the disk is made up, and that the cloud would delete the disk."""
    service.roll_out(dev)
    instance = service.session.client(InstanceServiceStub)
    reply = instance.Get(GetInstanceRequest(instance_id=service.machine("dev-postgres-1").id))
    for disk in reply.secondary_disks:
        disk.auto_delete = True
    monkeypatch.setattr(samovar.deploy.machines, "_get", lambda *_: reply)
    for module in (samovar.deploy.rollout, samovar.deploy.wait):
        monkeypatch.setattr(module, "read_status", lambda *_: status_of("postgres"))
    with pytest.raises(CloudError, match="would delete the data disk together with the machine: dev-postgres-1"):
        roll_out(service.session, dev, Prepared(service.plan(dev), service.observed(dev)), PlainReporter())
    with pytest.raises(CloudError, match="would delete the data disk"):
        wait_until_healthy(service.session, dev, {}, PlainReporter(), timeout=60)
    assert service.payload(service.ids(dev)[RECORD]) == "no"
