"""A machine for which the host has no room is refused with the limit that is used up, before anything of it exists."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from samovar.core import kernel
from samovar.core.errors import HostError
from samovar.core.kernel import INOTIFY
from samovar.localcloud.machines.driver import NspawnDriver
from samovar.localcloud.machines.model import Machine


def test_a_machine_is_not_started_where_a_limit_of_the_kernel_is_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "exhausted", lambda _: INOTIFY)
    disk = tmp_path / "disk.raw"
    machine = Machine("fhm1", "host", tmp_path / "image.raw", disk, 1 << 30, 2, 20, 1 << 30, "netns")
    with pytest.raises(HostError) as raised:
        asyncio.run(NspawnDriver(tmp_path, "samovar-test").start(machine))
    assert "machine fhm1 could not start: fs.inotify.max_user_instances is used up" in raised.value.message
    assert "sysctl -w fs.inotify.max_user_instances=8064" in raised.value.remedy
    assert not list(tmp_path.iterdir())
