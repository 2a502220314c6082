"""Commands that need Linux are refused on other systems, with what to do instead."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from samovar.cloud.local_daemon import find_or_start
from samovar.core.errors import HostError
from samovar.core.output import PlainReporter
from samovar.deploy.lease import Lease
from samovar.images.builders.local import bake_local
from samovar.images.builders.packer.bake import packer_command
from tests.support.checkout import PROJECT


@pytest.fixture(autouse=True)
def _mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")


def test_the_local_cloud_names_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="the local cloud takes Linux, and this is darwin") as refused:
        find_or_start(tmp_path / "home")
    assert "cloud: yandex" in refused.value.remedy


def test_the_local_builder_names_the_other_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(HostError, match="baking on this machine takes Linux") as refused:
        bake_local(PROJECT, ["samovar-base"], reporter=PlainReporter())
    assert "--builder packer" in refused.value.remedy


def test_a_lease_uses_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux alone has a clock besides it that counts the time of a sleep."""
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    renewals: list[float] = []
    lease = Lease("dev", lambda: renewals.append(1.0), lifetime=60.0)
    lease.check()
    assert renewals == []


def test_packer_is_started_without_setpriv_where_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packer = tmp_path / "packer"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert packer_command(packer) == (packer, "build", "-machine-readable", "-on-error=abort")
    setpriv = tmp_path / "setpriv"
    setpriv.touch(mode=0o755)
    assert packer_command(packer)[:4] == (str(setpriv), "--pdeathsig", "TERM", packer)
