"""The lock of an environment, on the real API."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.loadbalancer.v1 import target_group_service_pb2 as rpc
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.loadbalancer.v1.target_group_service_pb2_grpc import TargetGroupServiceStub
from yandex.cloud.lockbox.v1.secret_service_pb2 import CreateSecretRequest, ListSecretsRequest
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest, ListNetworksRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.cloud.local_admin import Host
from samovar.cloud.local_rest import Rest
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import CloudError, ExitCode, WaitTimeout
from samovar.deploy.lease import LockLost
from samovar.deploy.lock import Held, holder, locked
from samovar.deploy.observe import observe
from tests.support.processes import ended_process
from tests.support.simulated import RunningCloud

ELSEWHERE = "0123456789abcdef-4711-1"
"""A process of another host."""


@pytest.fixture
def other(cloud: RunningCloud) -> Session:
    """Return a session of another operator."""
    return cloud.session()


def _locks(session: Session) -> list[TargetGroup]:
    request = rpc.ListTargetGroupsRequest(folder_id=session.folder_id)
    return session.list(session.client(TargetGroupServiceStub).List, request, lambda page: page.target_groups)


def _make(session: Session, **labels: str) -> None:
    request = rpc.CreateTargetGroupRequest(
        folder_id=session.folder_id, name="dev-rollout-lock", region_id="ru-central1", labels=labels
    )
    session.finish(session.client(TargetGroupServiceStub).Create(request), what="lock")


def _label(session: Session, **labels: str) -> None:
    (group,) = _locks(session)
    request = rpc.UpdateTargetGroupRequest(
        target_group_id=group.id, update_mask=FieldMask(paths=["labels"]), labels={**group.labels, **labels}
    )
    session.finish(session.client(TargetGroupServiceStub).Update(request), what="labels")


def _make_network(session: Session) -> None:
    request = CreateNetworkRequest(folder_id=session.folder_id)
    session.finish(session.client(NetworkServiceStub).Create(request), what="network")


def _networks(session: Session) -> int:
    request = ListNetworksRequest(folder_id=session.folder_id)
    return len(session.list(session.client(NetworkServiceStub).List, request, lambda page: page.networks))


@contextmanager
def _silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A holder that begins now renews nothing by itself, as one that was stopped."""
    with monkeypatch.context() as silenced:
        silenced.setattr("samovar.deploy.lease.Lease.keep", lambda _: None)
        yield


def test_a_second_rollout_is_refused_with_the_holder_and_the_time(session: Session, other: Session) -> None:
    with locked(session, "dev"), pytest.raises(Held) as refused, locked(other, "dev"):
        pytest.fail("both hold it")
    assert holder() in refused.value.message
    assert re.search(r"since 20[-0-9]+ [:0-9]+ UTC$", refused.value.message)
    assert refused.value.code is ExitCode.LOCKED


def test_a_lock_is_released_and_each_environment_has_its_own(session: Session) -> None:
    with locked(session, "dev"), locked(session, "prod"):
        assert observe(session, "dev").resources == ()
    assert _locks(session) == []
    with locked(session, "dev"):
        pass


def test_what_failed_under_the_lock_is_reported_also_where_the_lock_cannot_be_deleted(
    session: Session, cloud: RunningCloud
) -> None:
    ends = cloud.endpoint
    host = Host(Rest(ends.rest, ca=Path(ends.ca), token=ends.token))
    host.add_fault(method="TargetGroupService/Delete", code="INTERNAL")
    with pytest.raises(WaitTimeout, match="nothing new"), locked(session, "dev"):
        raise WaitTimeout("nothing new")
    host.clear_faults()


def test_the_lock_of_a_holder_elsewhere_that_died_is_taken_over(session: Session, other: Session) -> None:
    _make(session, holder="colleague", process=ELSEWHERE, since="1", until="2")
    began = time.monotonic()
    with locked(session, "dev", lifetime=1):
        assert time.monotonic() - began > 0.6, "it was watched as long as its holder might have renewed it"
        with pytest.raises(Held), locked(other, "dev"):
            pytest.fail("both hold it")


def test_a_renewed_lock_is_never_taken_over_however_much_clocks_differ(
    session: Session, other: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The taker's clock is ahead: to it every lock looks as if its time were over."""
    monkeypatch.setattr("samovar.deploy.lock.Lock.is_fresh", lambda *_: False)
    with locked(session, "dev", lifetime=3):
        for _ in range(2):
            with pytest.raises(Held), locked(other, "dev", lifetime=3):
                pytest.fail("both hold it")


def test_the_lock_of_a_process_here_that_ended_is_free_at_once(session: Session) -> None:
    now = int(time.time())
    _make(session, holder=holder(), process=ended_process(), since=str(now), until=str(now + 60))
    began = time.monotonic()
    with locked(session, "dev"):
        assert time.monotonic() - began < 5


def test_a_holder_on_another_host_of_the_same_name_is_not_taken_for_dead(session: Session) -> None:
    now = int(time.time())
    _make(session, holder=holder(), process=ELSEWHERE, since=str(now), until=str(now + 60))
    with pytest.raises(Held), locked(session, "dev"):
        pytest.fail("both hold it")


@pytest.mark.parametrize("times", [("soon", "later"), ("", ""), ("9" * 30, "9" * 30)])
def test_a_lock_with_a_malformed_time_expires(session: Session, times: tuple[str, str]) -> None:
    _make(session, holder="colleague", since=times[0], until=times[1])
    with locked(session, "dev", lifetime=0.5):
        assert [group.labels["holder"] for group in _locks(session)] == [holder()]


def test_a_living_holder_keeps_its_lock(session: Session, other: Session) -> None:
    with locked(session, "dev", lifetime=2):
        time.sleep(2.5)
        with pytest.raises(Held), locked(other, "dev", lifetime=2):
            pytest.fail("both hold it")


def test_a_holder_that_lost_its_lock_makes_no_further_change(session: Session, other: Session) -> None:
    before = _networks(other)

    def work() -> None:
        with locked(session, "dev", lifetime=1.5):
            _make_network(session)
            (lock,) = _locks(other)
            other.client(TargetGroupServiceStub).Delete(rpc.DeleteTargetGroupRequest(target_group_id=lock.id))
            time.sleep(1)
            _make_network(session)

    with pytest.raises(LockLost) as lost:
        work()
    assert lost.value.code is ExitCode.LOCKED
    assert "remedy" in str(lost.value)
    assert _networks(other) == before + 1


def test_a_holder_that_was_stopped_meanwhile_notices_before_its_next_change(
    session: Session, other: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-Z, a lid that was closed: nobody renewed the lock, and a colleague took it."""
    before = _networks(other)

    def work() -> None:
        with _silent(monkeypatch), locked(session, "dev", lifetime=2):
            _label(other, process=ELSEWHERE)
            with pytest.raises(Held), locked(other, "dev", lifetime=2):
                pytest.fail("both hold it")
            time.sleep(2)
            with locked(other, "dev", lifetime=2):
                _make_network(session)

    with pytest.raises(LockLost):
        work()
    assert _networks(other) == before


def test_a_stopped_holder_that_kept_its_lock_goes_on(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    with _silent(monkeypatch), locked(session, "dev", lifetime=1):
        time.sleep(1)
        _make_network(session)
    assert _locks(session) == []


def test_a_lock_lost_after_the_last_change_is_reported(session: Session, other: Session) -> None:
    def work() -> None:
        with locked(session, "dev", lifetime=0.9):
            (lock,) = _locks(other)
            other.client(TargetGroupServiceStub).Delete(rpc.DeleteTargetGroupRequest(target_group_id=lock.id))
            time.sleep(1)

    with pytest.raises(LockLost):
        work()


def test_a_resource_that_has_the_name_of_a_lock_and_is_none_is_not_touched(session: Session) -> None:
    _make(session, env="dev")
    with pytest.raises(CloudError, match="has the name of a lock, and is none") as refused, locked(session, "dev"):
        pytest.fail("it is no lock")
    assert "another name" in refused.value.remedy
    assert len(_locks(session)) == 1


def test_a_secret_with_a_similar_name_is_not_touched(session: Session) -> None:
    request = CreateSecretRequest(folder_id=session.folder_id, name="dev-rollout-lock", labels={"env": "dev"})
    session.finish(session.client(SecretServiceStub).Create(request), what="secret")
    with locked(session, "dev"):
        pass
    listed = ListSecretsRequest(folder_id=session.folder_id)
    assert len(session.list(session.client(SecretServiceStub).List, listed, lambda page: page.secrets)) == 1


def test_one_of_many_concurrent_holders_gets_the_lock(cloud: RunningCloud) -> None:
    together = threading.Barrier(20)  # they begin together, and whoever has the lock keeps it until all others are told

    def contend(session: Session) -> bool:
        together.wait(timeout=60)
        try:
            with locked(session, "dev"):
                together.wait(timeout=60)
        except Held:
            together.wait(timeout=60)
            return False
        return True

    sessions = [cloud.session() for _ in range(20)]
    calls: list[Callable[[], bool]] = [lambda session=session: contend(session) for session in sessions]  # type: ignore[misc]
    assert sum(run_concurrently(*calls)) == 1


def test_a_lock_is_given_back_although_its_last_renewal_is_under_way(cloud: RunningCloud, session: Session) -> None:
    host = Host(Rest(cloud.endpoint.rest, ca=Path(cloud.endpoint.ca), token=cloud.endpoint.token))
    with locked(session, "dev"):
        host.add_fault(method="TargetGroupService/Delete", code="FAILED_PRECONDITION", times=2)
    assert _locks(session) == []
    assert host.faults() == ()
