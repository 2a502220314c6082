"""The processor time of a control group, as the kernel writes it."""

from __future__ import annotations

from pathlib import Path

from samovar.localcloud.machines.cgroups import cpu_seconds


def test_processor_time_is_the_kernels_and_none_is_zero(tmp_path: Path) -> None:
    assert cpu_seconds(tmp_path) == 0
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    assert cpu_seconds(tmp_path) == 2.5
