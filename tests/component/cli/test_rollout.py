"""The tool's plan of the whole service, carried out on the real API over a simulated host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.access.access_pb2 import ListAccessBindingsRequest
from yandex.cloud.compute.v1 import disk_service_pb2
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import AutoHealingPolicy
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2 import (
    FULL,
    GetInstanceGroupRequest,
    UpdateInstanceGroupRequest,
)
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.lockbox.v1.secret_service_pb2 import (
    AddVersionRequest,
    PayloadEntryChange,
)
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from samovar.cloud.calls import Attempt
from samovar.cloud.errors import CallFailed
from samovar.cloud.session import Session
from samovar.core.api_methods import is_read
from samovar.core.errors import ConfigError, ExitCode
from samovar.core.output import PlainReporter
from samovar.deploy.desired import GROUP_ROLES, METRICS_ROLE, PUBLIC_ROLE
from samovar.deploy.observe import observe
from samovar.deploy.plan import Action, destruction
from samovar.deploy.preconditions import (
    Protected,
    check_deletions,
    check_free,
    check_metrics,
    check_zones,
)
from samovar.deploy.resources.registry import HANDLERS
from samovar.deploy.resources.resource import Kind, Protectable, Ref
from samovar.deploy.resources.service_account import ServiceAccount
from samovar.deploy.rollout import Prepared, prepare_destruction, tear_down
from samovar.images.publish import FORMER, delete, publish, published, unused
from samovar.images.store import BakedImage
from samovar.project.balancer import Balancer, BalancerType, Health, Listener
from samovar.project.environment import Environment
from samovar.project.group import Policy
from tests.support.checkout import ENVIRONMENTS
from tests.support.checkout import environment as load_environment
from tests.support.environments import changed, desired_of
from tests.support.service import API, DIGEST, RECORD, Service


@pytest.fixture
def prod() -> Environment:
    return load_environment("prod")


def test_a_rollout_leaves_an_empty_plan_beside_another_environment(
    service: Service, dev: Environment, prod: Environment
) -> None:
    service.roll_out(dev)
    service.roll_out(prod)
    assert service.plan(dev).all_steps == ()
    assert service.plan(prod).all_steps == ()
    service.destroy(prod, delete_data=True)
    assert service.ids(prod) == {}
    assert service.plan(dev).all_steps == ()


def test_metadata_has_ids_and_addresses_and_no_secret(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    ids = service.ids(dev)
    settings = service.machine("dev-bingo-1").metadata["samovar-settings"]
    assert f"postgres_password: {ids[Ref(Kind.SECRET, 'dev-postgres-password')]}" in settings
    assert "group: postgres\n    machines: 8" in settings
    password = service.payload(ids[Ref(Kind.SECRET, "dev-postgres-password")])
    assert len(password) == 32
    assert password.isalnum()
    edge = service.machine("dev-nginx-1")
    assert password not in "".join(edge.metadata.values()) + settings
    assert "address: 10.30." in edge.metadata["samovar-settings"]
    assert "api.internal" in edge.metadata["samovar-api"]


def test_a_role_has_an_account_with_no_right_in_the_folder(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    ids = service.ids(dev)
    assert service.machine("dev-bingo-1").service_account_id == ids[Ref(Kind.SERVICE_ACCOUNT, "dev-bingo")]
    request = ListAccessBindingsRequest(resource_id=service.session.folder_id)
    bindings = service.session.client(FolderServiceStub).ListAccessBindings(request).access_bindings
    of_tool = {(binding.role_id, binding.subject.id) for binding in bindings if binding.subject.id in ids.values()}
    assert of_tool == {(role, ids[Ref(Kind.SERVICE_ACCOUNT, "dev-groups")]) for role in (*GROUP_ROLES, PUBLIC_ROLE)}


def test_a_zone_that_is_not_up_is_refused_before_anything_is_created(service: Service, dev: Environment) -> None:
    with pytest.raises(ConfigError, match=r"config.yaml:\d+: zones: ru-central1-c is not up in this cloud") as caught:
        check_zones(service.session, changed(dev, zones=("ru-central1-a", "ru-central1-c")))
    assert "ru-central1-a" in caught.value.remedy
    check_zones(service.session, dev)


def test_the_group_service_may_use_the_accounts_of_its_own_machines_alone(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    ids = service.ids(dev)
    groups_account = ids[Ref(Kind.SERVICE_ACCOUNT, "dev-groups")]
    client = service.session.client(ServiceAccountServiceStub)
    for name in ("dev-nginx", "dev-bingo", "dev-postgres"):
        request = ListAccessBindingsRequest(resource_id=ids[Ref(Kind.SERVICE_ACCOUNT, name)])
        (binding,) = client.ListAccessBindings(request).access_bindings
        assert (binding.role_id, binding.subject.id) == ("iam.serviceAccounts.user", groups_account)
    assert service.plan(dev).all_steps == ()


def test_checks_of_ports_and_other_target_ports_are_no_change_once_they_are_there(
    service: Service, dev: Environment
) -> None:
    balancer = Balancer(
        type=BalancerType.INTERNAL,
        listeners={"amqp": Listener(port=5672, target_port=5673)},
        health=Health(type="tcp", port=5673, interval=7, timeout=3),
    )
    machine = changed(dev.group("bingo").machine, preemptible=True, disk_type="network-hdd")
    health = Health(type="tcp", port=22, unhealthy=7)
    policy = Policy(max_unavailable=1, max_expansion=0, startup=5, healing="restart")
    bingo = changed(dev.group("bingo"), balancer=balancer, health=health, machine=machine, policy=policy)
    other = changed(dev, groups=tuple(bingo if each.name == "bingo" else each for each in dev.groups))
    service.roll_out(dev)
    assert {step.ref.kind for step in service.plan(other).steps} >= {Kind.LOAD_BALANCER, Kind.INSTANCE_GROUP}
    service.roll_out(other)
    assert service.plan(other).all_steps == ()
    service.roll_out(dev)
    assert service.plan(dev).all_steps == ()


def test_a_balancer_becomes_an_external_one_and_an_internal_one_again_in_one_rollout_each(
    service: Service, dev: Environment
) -> None:
    """Both addresses have one name, which the API gives once; the machines of others are told the new address."""
    listeners = {"http": Listener(port=80)}
    external = Balancer(type=BalancerType.EXTERNAL, listeners=listeners)
    bingo = changed(dev.group("bingo"), balancer=external)
    public = changed(dev, groups=tuple(bingo if each.name == "bingo" else each for each in dev.groups))
    service.roll_out(dev)
    for environment, kind in ((public, Kind.ADDRESS), (dev, Kind.INTERNAL_ADDRESS)):
        assert {step.ref.kind for step in service.plan(environment).steps} >= {kind, Kind.LOAD_BALANCER}
        service.roll_out(environment)
        assert service.plan(environment).all_steps == ()
        addresses = {ref for ref in service.ids(environment) if ref.name == "dev-bingo" and "address" in ref.kind}
        assert addresses == {Ref(kind, "dev-bingo")}


def test_a_plan_shows_and_a_rollout_reverts_a_healing_policy_that_was_changed_manually(
    service: Service, dev: Environment
) -> None:
    service.roll_out(dev)
    group = Ref(Kind.INSTANCE_GROUP, "dev-bingo")
    client = service.session.client(InstanceGroupServiceStub)
    current = client.Get(GetInstanceGroupRequest(instance_group_id=service.ids(dev)[group], view=FULL))
    request = UpdateInstanceGroupRequest(
        instance_group_id=current.id,
        update_mask=FieldMask(paths=["auto_healing_policy"]),
        instance_template=current.instance_template,
        scale_policy=current.scale_policy,
        deploy_policy=current.deploy_policy,
        allocation_policy=current.allocation_policy,
        service_account_id=current.service_account_id,
        auto_healing_policy=AutoHealingPolicy(auto_healing_action=AutoHealingPolicy.RESTART),
    )
    service.session.finish(client.Update(request), what="healing")
    assert [(step.ref, step.fields) for step in service.plan(dev).steps] == [(group, ("healing",))]
    service.roll_out(dev)
    assert service.plan(dev).all_steps == ()


def test_the_data_disk_outlives_the_environment_and_is_attached_again(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    disk = Ref(Kind.DISK, "dev-postgres-data")
    disk_id = service.ids(dev)[disk]
    (attached,) = service.machine("dev-postgres-1").secondary_disks
    assert (attached.disk_id, attached.device_name) == (disk_id, "data")
    service.destroy(dev, keep_addresses=True)
    assert service.ids(dev).keys() == {disk, RECORD, Ref(Kind.ADDRESS, "dev-nginx")}
    service.roll_out(dev)
    assert service.ids(dev)[disk] == disk_id
    (attached,) = service.machine("dev-postgres-1").secondary_disks
    assert attached.disk_id == disk_id
    service.destroy(dev, delete_data=True)
    request = disk_service_pb2.ListDisksRequest(folder_id=service.session.folder_id)
    assert service.session.list(service.session.client(DiskServiceStub).List, request, lambda page: page.disks) == []


def test_another_domain_is_a_new_version_and_replaces_no_machine(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    named = changed(dev, domain="tea.example.org")
    (change,) = service.plan(named).all_steps
    assert (change.action, change.ref) == (Action.UPDATE, Ref(Kind.SECRET, "dev-certificate"))
    service.roll_out(named)
    assert service.plan(named).all_steps == ()


def test_an_image_that_is_baked_anew_replaces_the_machines_of_the_former(
    service: Service, dev: Environment, tmp_path: Path
) -> None:
    service.roll_out(dev)
    (tmp_path / "raw").write_bytes(b"\0" * (4 << 20) + b"new")
    anew = BakedImage("samovar-edge", DIGEST.ljust(64, "0"), tmp_path / "raw", 4 << 20, {"bash": "6"})
    assert publish(service.session, anew).name == service.names["samovar-edge"]
    (change,) = service.plan(dev).all_steps
    assert (change.action, change.ref) == (Action.UPDATE, Ref(Kind.INSTANCE_GROUP, "dev-nginx"))
    assert "image: samovar-former-" in change.reason
    service.roll_out(dev)
    assert service.plan(dev).all_steps == ()


def test_only_images_that_are_neither_current_nor_used_are_pruned(
    service: Service, dev: Environment, tmp_path: Path
) -> None:
    """A stale one with a disk of it stays until that is gone."""
    service.roll_out(dev)
    (tmp_path / "raw").write_bytes(b"\0" * (4 << 20) + b"new")
    anew = BakedImage("samovar-edge", DIGEST.ljust(64, "0"), tmp_path / "raw", 4 << 20, {"bash": "6"})
    publish(service.session, anew)
    current = [service.names["samovar-edge"]]
    assert {image.image for image in unused(service.session, current)} == {"postgres"}, (
        "no group of dev is made of it; the former image of the edges has machines"
    )
    service.destroy(dev, delete_data=True)
    assert FORMER in "".join(image.name for image in unused(service.session, current))
    for image in unused(service.session, current):
        delete(service.session, image)
    assert [image.name for image in published(service.session)] == [service.names["samovar-edge"]]


def test_a_rollout_keeps_a_certificate_that_the_operator_set(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    secret_id = service.ids(dev)[Ref(Kind.SECRET, "dev-certificate")]
    entries = [PayloadEntryChange(key=key, text_value="PEM") for key in ("cert", "key")]
    request = AddVersionRequest(secret_id=secret_id, payload_entries=entries)
    service.session.finish(service.session.client(SecretServiceStub).AddVersion(request), what="the operator's own")
    assert service.plan(dev).all_steps == ()
    assert service.plan(changed(dev, domain="tea.example.org")).all_steps == ()


def test_a_larger_group_replaces_no_machine(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    grown = changed(dev, groups=tuple(changed(g, size=3) if g.name == "bingo" else g for g in dev.groups))
    assert [(change.ref, change.reason) for change in service.plan(grown).all_steps] == [
        (Ref(Kind.INSTANCE_GROUP, "dev-bingo"), "size: 2 -> 3")
    ]


class Watching(PlainReporter):
    """Looks at who has which role whenever something is about to go."""

    def __init__(self, service: Service, account_id: str) -> None:
        self._service = service
        self._account_id = account_id
        self.roles_at: dict[str, int] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        request = ListAccessBindingsRequest(resource_id=self._service.session.folder_id)
        bindings = self._service.session.client(FolderServiceStub).ListAccessBindings(request).access_bindings
        self.roles_at[name] = sum(binding.subject.id == self._account_id for binding in bindings)
        yield


def test_roles_are_taken_after_the_groups_that_need_them(service: Service, dev: Environment) -> None:
    """A group whose account lost its roles first can never be deleted (yandex-cloud/docs#183)."""
    service.roll_out(dev)
    observed = observe(service.session, dev.name)
    watch = Watching(service, service.ids(dev)[Ref(Kind.SERVICE_ACCOUNT, "dev-groups")])
    tear_down(service.session, Prepared(destruction(observed, delete_data=True), observed), watch)
    order = [name for name in watch.roles_at if name.startswith(("delete instance-group", "delete service-account"))]
    assert order[-1].startswith("delete service-account")
    groups = [name for name in order if name.startswith("delete instance-group")]
    assert len(groups) == 3
    assert {watch.roles_at[name] for name in [*groups, "delete service-account dev-groups"]} == {len(GROUP_ROLES) + 1}
    request = ListAccessBindingsRequest(resource_id=service.session.folder_id)
    left = service.session.client(FolderServiceStub).ListAccessBindings(request).access_bindings
    assert [binding for binding in left if binding.subject.id == watch._account_id] == []


def test_calls_are_the_same_with_and_without_the_admin_api(service: Service, dev: Environment) -> None:
    """A session with the host's admin API changes the cloud by the very calls of one without it."""
    counts: list[Counter[str]] = []

    def count(attempt: Attempt) -> None:
        if not is_read(attempt.method):
            counts[-1][attempt.method] += 1

    for local in (False, True):
        counts.append(Counter())
        service.session = Session(replace(service.session.access, local=local))
        with service.session.observed(count):
            service.roll_out(dev)
            service.destroy(dev, delete_data=True)
    assert counts[0].total() > 40
    assert counts[0] == counts[1]


def test_deletion_protection_is_that_of_the_api_and_a_rollout_lifts_it(service: Service, dev: Environment) -> None:
    protected = changed(dev, deletion_protection=True)
    service.roll_out(dev)
    changes = service.plan(protected).all_steps
    assert {(change.action, change.reason) for change in changes} == {
        (Action.UPDATE, "deletion_protection: False -> True")
    }
    assert {change.ref.kind for change in changes} == {
        Kind.ADDRESS,
        Kind.INTERNAL_ADDRESS,
        Kind.SECRET,
        Kind.SEED_RECORD,
        Kind.INSTANCE_GROUP,
        Kind.LOAD_BALANCER,
    }
    service.roll_out(protected)
    assert service.plan(protected).all_steps == ()
    for existing in observe(service.session, dev.name).resources:
        if isinstance(existing.spec, Protectable):
            with pytest.raises(CallFailed) as refused:
                HANDLERS[existing.ref.kind].delete(service.session, existing)
            assert refused.value.status is grpc.StatusCode.FAILED_PRECONDITION
    for environment in (protected, dev):
        with pytest.raises(Protected, match="deletion_protection") as error:
            prepare_destruction(service.session, environment)
        assert error.value.code is ExitCode.REFUSED
    without = changed(dev, groups=tuple(group for group in dev.groups if group.name != "nginx"))
    with pytest.raises(Protected, match="address dev-nginx"):
        check_deletions(service.plan(without))
    service.roll_out(dev)
    check_deletions(service.plan(without))
    tear_down(service.session, prepare_destruction(service.session, dev, delete_data=True), PlainReporter())
    assert service.ids(dev) == {}


def test_deletion_protection_holds_from_the_first_rollout(service: Service, dev: Environment) -> None:
    protected = changed(dev, deletion_protection=True)
    service.roll_out(protected)
    assert service.plan(protected).all_steps == ()
    service.roll_out(dev)


def test_a_metric_is_refused_by_name_where_the_cloud_has_no_monitoring(service: Service, tmp_path: Path) -> None:
    text = (ENVIRONMENTS / "dev/config.yaml").read_text()
    rule = "{metric_name: queue.messages, rule_type: workload, target: 5}"
    scaled = f"kind: app\n    autoscale: {{min_zone_size: 2, max_size: 5, custom_rules: [{rule}]}}\n"
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/config.yaml").write_text(text.replace("kind: app\n", scaled))
    dev = load_environment("dev", tmp_path)
    with pytest.raises(ConfigError, match=r"has no Monitoring, and so no metric queue\.messages") as error:
        check_metrics(service.session, dev)
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "kind: app" in each) + 1
    assert error.value.message.startswith(f"{tmp_path / 'dev/config.yaml'}:{line}: groups.bingo.autoscale.custom_rules")
    account = next(each.spec for each in desired_of(dev, service.names, API).resources if each.name == "dev-groups")
    assert isinstance(account, ServiceAccount)
    assert METRICS_ROLE in account.roles


def test_environments_whose_resource_names_collide_are_refused_before_anything_is_created(
    service: Service, dev: Environment
) -> None:
    edge = changed(dev.group("nginx"), upstreams={})
    first = changed(dev, groups=(changed(edge, name="nginx-a"),))
    second = changed(dev, name="dev-nginx", groups=(changed(edge, name="a"),))
    service.roll_out(first)
    check_free(desired_of(first, service.names, API), observe(service.session, first.name))
    with pytest.raises(ConfigError, match="instance-group dev-nginx-a belongs to dev; address dev-nginx-a"):
        check_free(desired_of(second, service.names, API), observe(service.session, second.name))
