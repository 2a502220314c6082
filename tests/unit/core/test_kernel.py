"""The kernel's limits: what machines need of them, and what is short, on a made-up /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.core.kernel import INOTIFY, LIMITS, KernelLimit, exhausted, shortages

PIDS = next(limit for limit in LIMITS if limit.name == "kernel.pid_max")

STOCK = {
    "fs.inotify.max_user_instances": 128,
    "kernel.pid_max": 32768,
    "kernel.pty.max": 4096,
    "net.ipv4.neigh.default.gc_thresh1": 128,
    "net.ipv4.neigh.default.gc_thresh2": 512,
    "net.ipv4.neigh.default.gc_thresh3": 1024,
}


def put(proc: Path, limit: KernelLimit, value: int) -> None:
    limit.file(proc).parent.mkdir(parents=True, exist_ok=True)
    limit.file(proc).write_text(f"{value}\n")


def test_a_limit_tells_how_many_machines_it_is_enough_for() -> None:
    assert [INOTIFY.machines(value) for value in (0, 64, 128, 864)] == [0, 0, 8, 100]
    assert all(limit.machines(limit.need(200)) == 200 for limit in LIMITS)


def test_each_limit_that_is_too_low_is_named_with_figures(tmp_path: Path) -> None:
    put(tmp_path, INOTIFY, 128)
    put(tmp_path, PIDS, 4194304)
    assert list(shortages(60, tmp_path)) == ["fs.inotify.max_user_instances is 128, enough for 8 machines; 60 need 544"]
    assert not list(shortages(8, tmp_path))


def test_a_kernel_as_it_comes_is_enough_for_eight_machines(tmp_path: Path) -> None:
    """The values of Linux 6.1 on Debian 12."""
    for name, value in STOCK.items():
        put(tmp_path, next(limit for limit in LIMITS if limit.name == name), value)
    assert not list(shortages(8, tmp_path))


def test_a_limit_that_the_kernel_has_not_is_no_shortage(tmp_path: Path) -> None:
    assert not list(shortages(1000, tmp_path))


@pytest.mark.parametrize(("threads", "found"), [(1000, None), (9900, PIDS)])
def test_a_limit_is_used_up_where_the_next_machine_has_no_room(
    tmp_path: Path, threads: int, found: KernelLimit | None
) -> None:
    put(tmp_path, PIDS, 10000)
    (tmp_path / "loadavg").write_text(f"0.10 0.20 0.30 2/{threads} 4711\n")
    assert exhausted(2, tmp_path) is found
