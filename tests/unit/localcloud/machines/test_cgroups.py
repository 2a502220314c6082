"""Control groups as the kernel shows them: their processor time, and whether an init still runs."""

from __future__ import annotations

from pathlib import Path

from samovar.localcloud.machines.cgroups import Init, cpu_seconds


def test_processor_time_is_the_kernels_and_none_is_zero(tmp_path: Path) -> None:
    assert cpu_seconds(tmp_path) == 0
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    assert cpu_seconds(tmp_path) == 2.5


def test_an_init_runs_as_long_as_its_control_group_lists_it(tmp_path: Path) -> None:
    init = Init(4711, tmp_path / "cgroup.procs")
    assert not init.runs()
    init.members.write_text("12\n4711\n")
    assert init.runs()
    init.members.write_text("12\n47110\n")
    assert not init.runs()
