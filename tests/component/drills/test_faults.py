"""Faults by the API on the real API over a simulated host: each is caused, seen in the cloud, and put back exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from samovar.core.errors import CloudError
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.read_status import read_status
from samovar.deploy.resources.secret import read_certificates
from samovar.drills.actions import cause_all, restore_all
from samovar.drills.faults import Fault, fault_of
from samovar.drills.journal import Journal
from samovar.drills.targets import NoTarget
from samovar.load.client import Target
from samovar.project.drill import Drill
from samovar.project.environment import Environment
from samovar.project.fault import FaultKind
from tests.support.checkout import environment as load_environment
from tests.support.service import Service
from tests.support.simulated import RunningCloud
from tests.support.wait import wait_until

NOWHERE = Target("http://127.66.1.1")


@pytest.fixture(scope="module")
def dev() -> Environment:
    return load_environment("dev")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, dev: Environment) -> Iterator[Service]:
    """The whole service, which each test leaves as it was: that is what they are about."""
    with RunningCloud(tmp_path_factory.mktemp("drills") / "home").serving() as cloud:
        rolled_out = Service(cloud)
        rolled_out.roll_out(dev)
        _becomes_healthy(rolled_out, dev)
        yield rolled_out


def fault(service: Service, dev: Environment, kind: str, target: str = "role:inner", **keys: object) -> Fault:
    drill = Drill.model_validate({"name": "mine", "fault": kind, "target": target, **keys})
    return fault_of(drill, service.session, dev, read_status(service.session, dev), NOWHERE)


@pytest.mark.parametrize(("kind", "keys"), [("rules", {"port": 8080}), ("template", {}), ("update", {})])
def test_a_fault_that_changes_the_environment_is_put_back_as_it_was(
    service: Service, dev: Environment, tmp_path: Path, kind: str, keys: dict[str, int]
) -> None:
    broken, journal = fault(service, dev, kind, "role:inner", **keys).breakages, Journal("b1g", "dev", tmp_path)
    journal.write(broken)
    cause_all(service.session, broken)
    assert service.plan(dev).all_steps != ()
    assert restore_all(service.session, journal) == broken
    assert restore_all(service.session, journal) == (), "nothing is broken any more"
    assert service.plan(dev).all_steps == ()
    _becomes_healthy(service, dev)


def test_a_drained_machine_is_a_target_again(service: Service, dev: Environment, tmp_path: Path) -> None:
    broken, journal = fault(service, dev, "drain").breakages, Journal("b1g", "dev", tmp_path)
    journal.write(broken)
    cause_all(service.session, broken)
    restore_all(service.session, journal)
    _becomes_healthy(service, dev)


def test_a_certificate_that_expired_is_replaced_by_the_one_before(
    service: Service, dev: Environment, tmp_path: Path
) -> None:
    valid = read_certificates(service.session, dev)
    broken, journal = fault(service, dev, "expire", "role:front").breakages, Journal("b1g", "dev", tmp_path)
    journal.write(broken)
    cause_all(service.session, broken)
    assert read_certificates(service.session, dev) != valid
    assert "PRIVATE" not in journal.path.read_text()
    restore_all(service.session, journal)
    assert read_certificates(service.session, dev) == valid
    assert service.plan(dev).all_steps == ()


def test_calls_fail_until_the_drill_ends_and_other_faults_stay(
    service: Service, dev: Environment, tmp_path: Path
) -> None:
    host = service.session.host
    assert host
    others = host.add_fault(method="ImageService/Create", code="INTERNAL")
    broken, journal = (
        fault(service, dev, "calls", method="PayloadService/Get").breakages,
        Journal("b1g", "dev", tmp_path),
    )
    journal.write(broken)
    cause_all(service.session, broken)
    assert {each.method for each in host.faults()} == {"ImageService/Create", "PayloadService/Get"}
    restore_all(service.session, journal)
    assert host.faults() == (others,)
    host.clear_faults()


def test_several_faults_come_each_at_its_time_and_calls_are_mended_first(
    service: Service, dev: Environment, tmp_path: Path
) -> None:
    later = {"fault": "calls", "target": "role:inner", "method": "TargetGroupService/*", "after": 1}
    both, journal = fault(service, dev, "drain", also=(later,)), Journal("b1g", "dev", tmp_path)
    assert [(each.fault, each.after) for each in both.breakages] == [(FaultKind.DRAIN, 0), (FaultKind.CALLS, 1)]
    journal.write(both.breakages)
    cause_all(service.session, both.breakages)
    assert service.session.host
    assert len(service.session.host.faults()) == 1
    assert restore_all(service.session, journal) == both.breakages
    assert service.session.host.faults() == ()
    _becomes_healthy(service, dev)


def test_no_machine_starts_until_the_drill_ends(service: Service, dev: Environment, tmp_path: Path) -> None:
    broken, journal = fault(service, dev, "no-start").breakages, Journal("b1g", "dev", tmp_path)
    journal.write(broken)
    cause_all(service.session, broken)
    assert not read_status(service.session, dev).healthy
    restore_all(service.session, journal)
    _becomes_healthy(service, dev)


def test_a_machine_that_hangs_is_healed_by_its_group_or_goes_on(
    service: Service, dev: Environment, tmp_path: Path
) -> None:
    broken, journal = fault(service, dev, "hang", unit="bingo.service").breakages, Journal("b1g", "dev", tmp_path)
    journal.write(broken)
    cause_all(service.session, broken)
    wait_until("the loss is noticed", lambda: not read_status(service.session, dev).healthy, timeout=60)
    restore_all(service.session, journal)
    _becomes_healthy(service, dev)
    restore_all(service.session, journal)


def test_a_fault_that_cannot_be_put_back_remains_in_the_journal(
    service: Service, dev: Environment, tmp_path: Path
) -> None:
    (machine,) = fault(service, dev, "freeze").breakages
    refused = replace(machine, fault=FaultKind.HANG, parameters={"unit": "no unit; at all"})
    journal = Journal("b1g", "dev", tmp_path)
    journal.write([refused, machine])
    with pytest.raises(CloudError, match="this is no fault of a machine"):
        restore_all(service.session, journal)
    assert journal.read() == (refused,)


def test_a_machine_that_is_no_more_has_nothing_to_put_back(service: Service, dev: Environment, tmp_path: Path) -> None:
    (machine,) = fault(service, dev, "freeze").breakages
    journal = Journal("b1g", "dev", tmp_path)
    journal.write([replace(machine, subject="fhmgone")])
    restore_all(service.session, journal)
    assert journal.read() == ()


def test_a_role_names_the_addresses_of_machines_and_of_their_balancer(service: Service, dev: Environment) -> None:
    (broken,) = fault(service, dev, "cut", "role:front", peers=("role:inner",)).breakages
    machines = [m.address for group in read_status(service.session, dev).groups for m in group.machines]
    addresses = broken.parameters["addresses"]
    assert isinstance(addresses, list)
    assert len([address for address in addresses if address in machines]) == 2
    assert len(addresses) == 3, "and the balancer's own"


def test_a_target_that_the_environment_lacks_is_refused(service: Service, dev: Environment) -> None:
    with pytest.raises(NoTarget, match="dev-bingo has no rule for port 4711"):
        fault(service, dev, "rules", port=4711)
    with pytest.raises(NoTarget, match="dev-postgres has no balancer"):
        fault(service, dev, "drain", "role:data")


def _becomes_healthy(service: Service, dev: Environment) -> None:
    def healthy() -> bool | Pending:
        status = read_status(service.session, dev)
        return status.healthy or Pending("; ".join(group.summary() for group in status.groups))

    wait_for("dev is healthy", healthy, timeout=60)
