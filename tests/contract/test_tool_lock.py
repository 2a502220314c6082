"""The lock of an environment, on the real API."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cloud.access import Access
from cloud.session import Session, side_by_side
from groups.lock import Held, holder, locked
from groups.observe import observe
from kit.errors import ExitCode
from tests.support.simulated import RunningCloud


@pytest.fixture
def session(cloud: RunningCloud) -> Session:
    ends = cloud.endpoint
    return Session(Access(endpoint=ends.grpc, folder_id=ends.folder_id, ca=Path(ends.ca), token=ends.token))


def test_a_second_is_refused_and_told_who_holds_it_since_when(session: Session) -> None:
    with locked(session, "dev"), pytest.raises(Held) as refused, locked(session, "dev"):
        pytest.fail("both hold it")
    assert holder() in refused.value.message
    assert "since 20" in refused.value.message
    assert refused.value.code is ExitCode.BUSY


def test_it_is_free_again_afterwards_and_another_environment_is_another_lock(session: Session) -> None:
    with locked(session, "dev"), locked(session, "prod"):
        assert observe(session, "dev").resources == ()
    with locked(session, "dev"):
        pass


def test_the_lock_of_a_dead_holder_is_taken_over(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = locked(session, "dev", lifetime=1)
    with monkeypatch.context() as silenced:
        silenced.setattr("groups.lock._keep", lambda *_: None)
        dead.__enter__()
    time.sleep(1.1)
    with locked(session, "dev"), pytest.raises(Held), locked(session, "dev"):
        pytest.fail("both hold it")


def test_the_lock_of_a_process_here_that_ended_is_free_at_once(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    with monkeypatch.context() as another:
        another.setattr("os.getpid", lambda: ended.pid)
        locked(session, "dev").__enter__()
    with locked(session, "dev"), pytest.raises(Held), locked(session, "dev"):
        pytest.fail("both hold it")


def test_a_holder_that_lives_keeps_it(session: Session) -> None:
    with locked(session, "dev", lifetime=2):
        time.sleep(2.5)
        with pytest.raises(Held), locked(session, "dev"):
            pytest.fail("both hold it")


def test_of_many_at_once_one_gets_it(session: Session) -> None:
    enough = threading.Barrier(6)

    def contend() -> bool:
        enough.wait(timeout=10)
        try:
            with locked(session, "dev"):
                time.sleep(0.5)
        except Held:
            return False
        return True

    calls: list[Callable[[], bool]] = [contend] * 6
    assert sum(side_by_side(*calls)) == 1
