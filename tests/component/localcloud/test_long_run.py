"""The footprint of a local cloud does not grow with its history; `make long-run` runs a whole day."""

from __future__ import annotations

from pathlib import Path

from samovar.localcloud.simulated.event_loop import run
from tests.support.long_run import live

SHORT = 900.0
"""Simulated seconds; a rollout, four deaths and two changes of size take some 400 of them."""
SLACK = 8.0
"""MiB: what the allocator may keep. A leak of 100 kB a machine would be more in the course of these hours."""


def test_hours_of_rollouts_kills_and_load_leave_nothing_behind(tmp_path: Path) -> None:
    first, *_, last = run(live(tmp_path / "home", 3, length=SHORT))
    assert last.descriptors == first.descriptors
    assert last.tasks <= first.tasks
    assert last.files == first.files
    assert last.resources == first.resources
    assert last.operations <= first.operations
    assert last.notes <= first.notes
    assert last.resident <= first.resident + SLACK
