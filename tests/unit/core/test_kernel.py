"""The kernel's limits: what machines need of them, and what is short, on a made-up /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.core.kernel import (
    INOTIFY,
    LIMITS,
    KernelLimit,
    device_policy_unavailable,
    exhausted,
    loop_devices_unavailable,
    shortages,
)

PIDS = next(limit for limit in LIMITS if limit.name == "kernel.pid_max")

STOCK = {
    "fs.inotify.max_user_instances": 128,
    "kernel.pid_max": 32768,
    "kernel.pty.max": 4096,
    "net.ipv4.neigh.default.gc_thresh1": 128,
    "net.ipv4.neigh.default.gc_thresh2": 512,
    "net.ipv4.neigh.default.gc_thresh3": 1024,
    "net.netfilter.nf_conntrack_max": 65536,
}


def put(proc: Path, limit: KernelLimit, value: int) -> None:
    limit.file(proc).parent.mkdir(parents=True, exist_ok=True)
    limit.file(proc).write_text(f"{value}\n")


def test_a_limit_states_how_many_machines_it_is_enough_for() -> None:
    assert [INOTIFY.machines(value) for value in (0, 64, 128, 864)] == [0, 0, 8, 100]
    assert all(limit.machines(limit.need(200)) == 200 for limit in LIMITS)


def test_each_limit_that_is_too_low_is_named_with_figures(tmp_path: Path) -> None:
    put(tmp_path, INOTIFY, 128)
    put(tmp_path, PIDS, 4194304)
    assert list(shortages(60, tmp_path)) == ["fs.inotify.max_user_instances is 128, enough for 8 machines; 60 need 544"]
    assert not list(shortages(8, tmp_path))


def test_default_kernel_limits_are_enough_for_eight_machines(tmp_path: Path) -> None:
    """The values of Linux 6.1 on Debian 12, with up to 4 GB of memory."""
    for name, value in STOCK.items():
        put(tmp_path, next(limit for limit in LIMITS if limit.name == name), value)
    assert not list(shortages(8, tmp_path))


def test_a_limit_that_the_kernel_has_not_is_no_shortage(tmp_path: Path) -> None:
    assert not list(shortages(1000, tmp_path))


@pytest.mark.parametrize(("threads", "expected"), [(1000, None), (9900, PIDS)])
def test_a_limit_is_used_up_where_the_next_machine_has_no_room(
    tmp_path: Path, threads: int, expected: KernelLimit | None
) -> None:
    put(tmp_path, PIDS, 10000)
    (tmp_path / "loadavg").write_text(f"0.10 0.20 0.30 2/{threads} 4711\n")
    assert exhausted(2, tmp_path) is expected


def test_devices_are_closed_by_systemd_or_by_cgroup_v1(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert "neither systemd" in device_policy_unavailable(absent, tmp_path)
    assert device_policy_unavailable(tmp_path, absent) == ""
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices/cgroup.procs").touch()
    assert device_policy_unavailable(absent, tmp_path) == ""


def test_a_host_without_loop_devices_is_recognized(tmp_path: Path) -> None:
    assert loop_devices_unavailable(tmp_path / "loop-control").startswith("this host makes no loop devices")
    assert loop_devices_unavailable(Path("/dev/null")) == ""
