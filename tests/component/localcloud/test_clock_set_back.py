"""The host's clock is set back by a day: what is timed goes on at once. The daemon's own code, on a simulated host."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography import x509

from samovar.core.errors import HostError
from samovar.localcloud.api.pki import ensure_pki
from samovar.localcloud.home.backups import KEPT, Backups
from samovar.localcloud.machines.model import Machine
from samovar.localcloud.store.store import NoteKey, Store
from tests.support.group_client import Groups
from tests.support.simulated import RunningCloud
from tests.support.wait import wait_until

DAY = 86_400


@pytest.fixture
def groups(cloud: RunningCloud) -> Groups:
    return Groups(cloud)


def _set_clock_back(cloud: RunningCloud) -> None:
    """The daemon's alone."""
    cloud._loop.wall_time = lambda: time.time() - DAY  # type: ignore[attr-defined]


def test_a_machine_that_waits_for_its_next_attempt_is_not_forgotten(groups: Groups) -> None:
    attempts: list[str] = []
    start = groups.cloud.driver.start

    async def refuse(machine: Machine) -> None:
        attempts.append(machine.id)
        raise HostError("no machine can be had now")

    groups.cloud.driver.start = refuse  # type: ignore[method-assign]
    created = groups.create(size=1)
    wait_until("four attempts", lambda: len(attempts) == 4)
    time.sleep(1)  # of the four until the next one
    _set_clock_back(groups.cloud)
    groups.cloud.driver.start = start  # type: ignore[method-assign]
    groups.finished(created)


def test_a_dead_machine_is_healed_after_the_clock_was_set_back(groups: Groups) -> None:
    groups.finished(groups.create())
    before = groups.machines()["m-1"]
    _set_clock_back(groups.cloud)
    groups.cloud.driver.crash(before)
    wait_until("another machine m-1", lambda: groups.machines().get("m-1") not in {None, before})
    wait_until("all members run", groups.all_run)


def test_certificates_of_a_home_are_good_after_the_clock_was_set_back(tmp_path: Path) -> None:
    """They are made once, maybe by a clock that was ahead."""
    pki = ensure_pki(tmp_path)
    for file in (pki.ca, pki.certificate):
        actual = x509.load_pem_x509_certificate(file.read_bytes())
        assert actual.not_valid_before_utc.timestamp() < time.time() - 300 * DAY


def test_a_backup_taken_after_the_clock_was_set_back_is_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, backups = Store(tmp_path / "cloud.sqlite"), Backups(tmp_path)
    key = NoteKey[str]("key")
    for number in range(KEPT + 1):
        store.note("resource", key, str(number))
        assert backups.make(store) == ""
    monkeypatch.setattr("time.time", lambda before=time.time: before() - DAY)
    store.note("resource", key, "last")
    assert backups.make(store) == ""
    store.close()
    assert len(backups.all()) == KEPT
    newest = Store(backups.all()[-1])
    assert newest.noted("resource", key) == "last"
    newest.close()
