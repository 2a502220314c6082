"""The files that tell a guest its size."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from samovar.localcloud.machines.nspawn import affinity, cpuinfo, meminfo, online

HOST = "processor\t: 0\nmodel name\t: X\n\nprocessor\t: 1\nmodel name\t: X\n\nprocessor\t: 2\nmodel name\t: X\n\n"


@given(st.integers(min_value=1 << 27, max_value=1 << 40))
def test_meminfo_has_the_total_in_kib_and_never_more_free_than_that(memory: int) -> None:
    amounts = {name: int(amount) for name, amount in re.findall(r"^(\w+): +(\d+) kB$", meminfo(memory), re.MULTILINE)}
    assert amounts["MemTotal"] == memory // 1024
    assert 0 < amounts["MemFree"] <= amounts["MemAvailable"] < amounts["MemTotal"]
    assert amounts["SwapTotal"] == amounts["SwapFree"] == 0


def test_cpuinfo_is_the_first_processors_of_the_host() -> None:
    assert cpuinfo(HOST, 2) == "processor\t: 0\nmodel name\t: X\n\nprocessor\t: 1\nmodel name\t: X\n\n"
    assert cpuinfo(HOST, 3) == cpuinfo(HOST, 9) == HOST


def test_processors_online_are_a_range_as_the_kernel_writes_it() -> None:
    assert (online(1), online(4)) == ("0\n", "0-3\n")


@given(st.text(min_size=1), st.integers(1, 12), st.lists(st.integers(0, 99), min_size=1, max_size=8, unique=True))
def test_a_machine_runs_on_as_many_processors_as_it_has_cores_if_the_host_has_them(
    machine_id: str, cores: int, host: list[int]
) -> None:
    chosen = [int(number) for number in affinity(machine_id, cores, sorted(host)).split(",")]
    assert len(set(chosen)) == len(chosen) == min(cores, len(host))
    assert set(chosen) <= set(host)


def test_machines_of_one_core_are_spread_over_the_host() -> None:
    assert {affinity(f"machine-{number}", 1, [0, 1, 2, 3]) for number in range(40)} == {"0", "1", "2", "3"}
