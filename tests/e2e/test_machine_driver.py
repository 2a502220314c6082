"""The machine driver on the real thing: machines that boot systemd, are cut, stopped, crashed, adopted and removed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from samovar.core.constants import GIB, MIB
from samovar.core.errors import HostError, ProcessFailed
from samovar.core.process import run, run_async
from samovar.core.waiting import Pending, wait_for, wait_for_async
from samovar.localcloud.machines import console
from samovar.localcloud.machines.model import Observed
from tests.support.leftovers import leftovers
from tests.support.machine_lab import MachineLab

SLOW = 60
"""How many times slower than here a host may be, emulated and busy, before a test calls it a fault."""
DBUS_ACTIVATION = 25
"""Seconds that D-Bus waits for a service that it has started (dbus-daemon(1), service_start_timeout)."""


async def test_boots_and_has_the_size_that_it_was_given(lab: MachineLab) -> None:
    machine = lab.machine("a", memory=384 * MIB)
    began = time.monotonic()
    await lab.driver.start(machine)
    started = time.monotonic() - began
    await lab.boot(machine)
    print(f"start call {started:.2f} s, systemd running after {time.monotonic() - began:.2f} s")  # noqa: T201
    print(lab.as_service(machine, "systemd-analyze; systemd-analyze blame | head"))  # noqa: T201

    assert time.monotonic() - began < 1.5 * SLOW
    assert lab.as_service(machine, "grep MemTotal /proc/meminfo | tr -s ' '") == f"MemTotal: {384 * 1024} kB"
    assert lab.as_service(machine, "nproc; getconf _NPROCESSORS_ONLN; grep -c ^processor /proc/cpuinfo") == "1\n1\n1"
    assert lab.as_service(machine, "hostname") == "host-a"
    size = int(lab.as_service(machine, "df --output=size -B1 / | tail -1"))
    assert 0.95 < size / machine.boot_disk_size < 1
    assert machine.boot_disk.stat().st_blocks * 512 < 64 * MIB


async def test_two_cores_are_two_where_the_host_has_them(lab: MachineLab) -> None:
    machine = lab.machine("a", cores=2)
    await lab.boot(machine)
    assert lab.as_service(machine, "nproc") == str(min(2, len(os.sched_getaffinity(0))))


async def test_more_memory_than_the_machine_has_kills_the_process_and_not_the_machine(lab: MachineLab) -> None:
    machine = lab.machine("a", memory=256 * MIB)
    pid = await lab.boot(machine)
    assert lab.as_service(machine, "python3 -c 'print(len(bytearray(96 << 20)))'") == str(96 * MIB)
    with pytest.raises(ProcessFailed):
        lab.as_service(machine, "exec python3 -c 'bytearray(400 << 20)'")
    assert lab.driver.observe() == {"a": Observed(running=True, pid=pid)}
    assert lab.as_service(machine, "echo alive") == "alive"


BUSY = """
from time import monotonic, process_time
began, used = monotonic(), process_time()
while monotonic() < began + 3: pass
print((process_time() - used) / (monotonic() - began))
"""


async def test_a_share_of_the_cores_is_no_bound_while_the_host_is_idle(lab: MachineLab) -> None:
    """The API says of core_fraction: "with the ability to burst performance above that baseline level"."""
    machine = replace(lab.machine("a"), core_fraction=20)
    await lab.boot(machine)
    assert float(lab.as_service(machine, f"python3 -c '{BUSY}'")) > 0.3


async def test_the_processor_time_is_bounded_by_the_cores(lab: MachineLab) -> None:
    """Two programs on a machine of one core have half of it each; the host has more."""
    machine = replace(lab.machine("a"), cores=1)
    await lab.boot(machine)
    both = f"python3 -c '{BUSY}' & python3 -c '{BUSY}'; wait"
    before = lab.driver.cpu_seconds("a")
    used = sum(map(float, lab.as_service(machine, both).split()))
    assert used < 1.2
    after = lab.driver.cpu_seconds("a")
    assert before
    assert after
    assert after - before > 3 * used * 0.9, "the group is scaled by what its machines use"


async def test_the_console_is_kept_until_the_next_start(lab: MachineLab) -> None:
    machine = lab.machine("a")
    await lab.boot(machine)
    lab.as_service(machine, "echo from the guest >/dev/console")
    wait_for(
        "the console",
        lambda: b"from the guest" in lab.driver.console("a") or Pending(repr(lab.driver.console("a")[-200:])),
        timeout=SLOW,
    )
    await lab.driver.kill("a")
    assert b"from the guest" in lab.driver.console("a")
    await lab.driver.start(machine)
    assert b"from the guest" not in lab.driver.console("a")


FLOOD = "for i in $(seq 64); do head -c 1M /dev/zero | tr '\\0' x; done >/dev/console"


async def test_a_console_without_end_fills_no_disk_and_keeps_its_beginning_and_its_end(lab: MachineLab) -> None:
    machine = lab.machine("a")
    pid = await lab.boot(machine)
    boot = lab.driver.console("a")
    lab.as_service(machine, f"{FLOOD}; echo the end >/dev/console")
    wait_for(
        "the console's end",
        lambda: b"the end" in lab.driver.console("a")[-100:] or Pending(repr(lab.driver.console("a")[-100:])),
        timeout=SLOW,
    )
    files = [file.stat().st_size for file in (lab.home / "machines/a").glob("console*")]
    assert sum(files) <= console.HEAD + console.KEPT * console.SEGMENT
    assert lab.driver.console("a").startswith(boot[:1000])
    assert lab.driver.observe() == {"a": Observed(running=True, pid=pid)}


def flushes(disk: Path) -> int:
    """Return how often the loop device on that file was flushed: the 16th figure of its stat (block/stat.rst)."""
    (loop,) = [
        loop for loop in Path("/sys/block").glob("loop*/loop/backing_file") if loop.read_text().strip() == str(disk)
    ]
    return int((loop.parent.parent / "stat").read_text().split()[15])


async def test_a_sync_of_the_guest_is_flushed_to_the_hosts_disk(lab: MachineLab) -> None:
    """A sync without barriers would end in the host's memory, and be lost in a power cut of the host."""
    machine = lab.machine("a")
    await lab.boot(machine)
    before = flushes(machine.boot_disk)
    lab.as_service(machine, "dd if=/dev/zero of=/root/synced bs=4k count=1 conv=fsync status=none")
    assert flushes(machine.boot_disk) > before


async def test_a_power_cut_ends_everything_at_once_and_no_other_machine(lab: MachineLab) -> None:
    cut, other = lab.machine("a"), lab.machine("b")
    await lab.boot(cut)
    pid = await lab.boot(other)
    lab.as_service(cut, "systemd-run --quiet --no-block bash -c 'while :; do (sleep 1000 &); sleep 0.01; done'")
    began = time.monotonic()
    await lab.driver.kill("a")
    took = time.monotonic() - began
    print(f"power cut: {took:.3f} s")  # noqa: T201

    assert took < 0.5 * SLOW
    assert lab.driver.observe() == {"a": Observed(running=False), "b": Observed(running=True, pid=pid)}
    left = leftovers(lab.home / "machines/a", f"{lab.prefix}-a") + leftovers(cut.boot_disk, "no-such-name")
    assert [line for line in left if "network namespace" not in line and not line.startswith("mount in")] == []
    assert lab.as_service(other, "echo alive") == "alive"


async def test_a_stop_lets_the_guest_power_off(lab: MachineLab) -> None:
    machine = lab.machine("a")
    await lab.boot(machine)
    lab.as_service(machine, "systemd-run --quiet --property=ExecStop='touch /stopped' sleep 1000")
    await lab.driver.stop("a", grace=10 * SLOW)
    assert lab.driver.observe() == {"a": Observed(running=False, exit_code=0)}
    await lab.boot(machine)
    assert lab.as_service(machine, "ls /stopped") == "/stopped"


async def test_a_guest_that_does_not_power_off_within_30_s_is_cut(lab: MachineLab) -> None:
    machine = lab.machine("a")
    await lab.boot(machine)
    lab.as_service(machine, "systemd-run --quiet --property=ExecStop='sleep 1000' sleep 1000")
    began = time.monotonic()
    await lab.driver.stop("a")
    assert 30 <= time.monotonic() - began < 30 + SLOW
    assert lab.driver.observe() == {"a": Observed(running=False)}


async def test_the_boot_disk_outlives_a_power_cut(lab: MachineLab) -> None:
    machine = lab.machine("a")
    await lab.boot(machine)
    lab.as_service(machine, "echo kept >/root/file; sync /root/file")
    await lab.driver.kill("a")
    await lab.boot(machine)
    assert lab.as_service(machine, "cat /root/file") == "kept"


async def test_a_guest_that_reboots_is_the_same_machine(lab: MachineLab) -> None:
    machine = lab.machine("a")
    before = await lab.boot(machine)
    began = time.monotonic()
    lab.as_service(machine, "echo kept >/root/file; systemctl reboot --no-block")
    assert time.monotonic() - began < DBUS_ACTIVATION, "nobody waits for a logind that is not there"

    def rebooted() -> bool | Pending:
        observed = lab.driver.observe()["a"]
        assert observed.running
        return Pending(str(observed)) if observed.pid in {None, before} else True

    await wait_for_async("a reboot", rebooted, timeout=10 * SLOW)
    await lab.boot(machine)
    assert lab.as_service(machine, "cat /root/file") == "kept"


@pytest.mark.parametrize("victim", ["init", "nspawn"])
async def test_a_machine_that_dies_is_observed_as_stopped(lab: MachineLab, victim: str) -> None:
    machine = lab.machine("a")
    pid = await lab.boot(machine)
    parent = int((await run_async(["ps", "-o", "ppid=", "-p", str(pid)])).stdout)
    os.kill(pid if victim == "init" else parent, signal.SIGKILL)

    def dead() -> Observed | Pending:
        observed = lab.driver.observe()["a"]
        return Pending(str(observed)) if observed.running else observed

    observed = await wait_for_async("the end", dead, timeout=2 * SLOW)
    assert observed.exit_code not in {None, 0}
    await lab.boot(machine)


async def test_a_data_disk_goes_from_machine_to_machine(lab: MachineLab) -> None:
    disk = lab.data_disk()
    node = "/dev/disk/by-id/virtio-data"
    first, second = lab.machine("a", disks=(disk,)), lab.machine("b", disks=(disk,))

    await lab.boot(first)
    assert lab.as_service(first, f"blkid {node} || echo blank; blockdev --getsize64 {node}") == f"blank\n{1 << 30}"
    lab.as_service(first, f"mkfs.ext4 -q {node}; mount {node} /mnt; echo kept >/mnt/file; sync /mnt/file")
    await lab.driver.remove("a")

    await lab.boot(second)
    assert lab.as_service(second, f"blkid -o value -s TYPE {node}; mount {node} /mnt; cat /mnt/file") == "ext4\nkept"


async def test_a_daemon_that_is_killed_loses_no_machine(lab: MachineLab) -> None:
    machine = lab.machine("a")
    daemon = f"""
import asyncio, os, pathlib
from pathlib import PosixPath
from samovar.localcloud.machines.driver import NspawnDriver
from samovar.localcloud.machines.model import Machine
driver = NspawnDriver(pathlib.Path({str(lab.home / "machines")!r}), {lab.prefix!r})
asyncio.run(driver.start({machine!r}))
os.kill(os.getpid(), 9)
"""
    with pytest.raises(ProcessFailed) as failure:
        await run_async([sys.executable, "-c", daemon], timeout=10 * SLOW)
    assert failure.value.returncode == -signal.SIGKILL

    adopted = lab.another_driver()
    observed = adopted.observe()["a"]
    assert observed.running
    pid = await lab.boot(machine)
    assert pid == observed.pid
    assert b"systemd" in adopted.console("a")
    await adopted.stop("a", grace=10 * SLOW)
    assert adopted.observe() == {"a": Observed(running=False, exit_code=0)}


async def test_a_machine_without_its_folder_is_observed_and_removed(lab: MachineLab) -> None:
    await lab.driver.start(lab.machine("a"))
    shutil.rmtree(lab.home / "machines/a")
    another = lab.another_driver()
    assert another.observe()["a"].running
    await another.remove("a")
    assert another.observe() == {}


async def test_a_failed_start_gives_the_reason_and_leaves_nothing(lab: MachineLab) -> None:
    machine = replace(lab.machine("a"), netns="no-such-namespace")
    with pytest.raises(HostError, match="no-such-namespace"):
        await lab.driver.start(machine)
    assert not lab.driver.observe()["a"].running
    await lab.boot(lab.machine("a"))


async def test_a_missing_image_is_an_error_that_names_it(lab: MachineLab) -> None:
    with pytest.raises(HostError, match=r"missing\.raw: No such file"):
        await lab.driver.start(replace(lab.machine("a"), image=lab.home / "missing.raw"))


async def test_machines_of_one_image_share_its_loop_device(lab: MachineLab) -> None:
    for name in ("a", "b"):
        await lab.driver.start(lab.machine(name))
    assert sum(str(lab.image) in line for line in run(["losetup", "--all"]).stdout.splitlines()) == 1


async def test_removing_leaves_the_disks_and_nothing_else(lab: MachineLab) -> None:
    machine = lab.machine("a")
    await lab.driver.start(machine)
    await lab.driver.remove("a")
    await lab.driver.remove("a")
    await lab.driver.close()
    assert lab.driver.observe() == {}
    assert [path.name for path in lab.home.rglob("*") if path.is_file()] == ["a.raw"]
    assert [line for line in leftovers(lab.home, lab.prefix) if "network namespace" not in line] == []


async def test_a_boot_disk_that_was_enlarged_grows_at_the_next_start(lab: MachineLab) -> None:
    machine = lab.machine("grown")
    await lab.boot(machine)
    lab.inside(machine, "echo kept >/root/kept && sync")
    await lab.driver.stop(machine.id)
    os.truncate(machine.boot_disk, 6 * GIB)  # as `DiskService.Update` does
    await lab.boot(replace(machine, boot_disk_size=6 * GIB))
    assert int(lab.inside(machine, "df --output=size -B1 / | tail -1")) > 5 * GIB
    assert lab.inside(machine, "cat /root/kept") == "kept"
