"""On a system that is not Linux, what needs Linux says so, and what to do instead."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from samovar.cloud.local_daemon import find_or_start
from samovar.core.errors import HostError
from samovar.core.output import PlainReporter
from samovar.images.builders.local import bake_local
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
