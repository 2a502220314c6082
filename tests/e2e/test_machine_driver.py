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

from samovar.core.errors import HostError, ProcessFailed
from samovar.core.process import run, run_async
from samovar.core.waiting import Pending, wait_for, wait_for_async
from samovar.localcloud.machines import console_log
from samovar.localcloud.machines.model import Observed
from tests.support.driven import MIB, SLOW, Cloud
from tests.support.leftovers import leftovers


async def test_boots_and_has_the_size_that_it_was_given(cloud: Cloud) -> None:
    machine = cloud.machine("a", memory=384 * MIB)
    began = time.monotonic()
    await cloud.driver.start(machine)
    started = time.monotonic() - began
    await cloud.boot(machine)
    print(f"start call {started:.2f} s, systemd running after {time.monotonic() - began:.2f} s")  # noqa: T201
    print(cloud.inside(machine, "systemd-analyze; systemd-analyze blame | head"))  # noqa: T201

    assert time.monotonic() - began < 1.5 * SLOW
    assert cloud.inside(machine, "grep MemTotal /proc/meminfo | tr -s ' '") == f"MemTotal: {384 * 1024} kB"
    assert cloud.inside(machine, "nproc; getconf _NPROCESSORS_ONLN; grep -c ^processor /proc/cpuinfo") == "1\n1\n1"
    assert cloud.inside(machine, "hostname") == "host-a"
    size = int(cloud.inside(machine, "df --output=size -B1 / | tail -1"))
    assert 0.95 < size / machine.boot_disk_size < 1
    assert machine.boot_disk.stat().st_blocks * 512 < 64 * MIB


async def test_two_cores_are_two_where_the_host_has_them(cloud: Cloud) -> None:
    machine = cloud.machine("a", cores=2)
    await cloud.boot(machine)
    assert cloud.inside(machine, "nproc") == str(min(2, len(os.sched_getaffinity(0))))


async def test_more_memory_than_the_machine_has_kills_the_process_and_not_the_machine(cloud: Cloud) -> None:
    machine = cloud.machine("a", memory=256 * MIB)
    pid = await cloud.boot(machine)
    assert cloud.inside(machine, "python3 -c 'print(len(bytearray(96 << 20)))'") == str(96 * MIB)
    with pytest.raises(ProcessFailed):
        cloud.inside(machine, "exec python3 -c 'bytearray(400 << 20)'")
    assert cloud.driver.observe() == {"a": Observed(running=True, pid=pid)}
    assert cloud.inside(machine, "echo alive") == "alive"


BUSY = """
from time import monotonic, process_time
began, used = monotonic(), process_time()
while monotonic() < began + 3: pass
print((process_time() - used) / (monotonic() - began))
"""


async def test_the_processor_time_is_bounded(cloud: Cloud) -> None:
    machine = replace(cloud.machine("a"), core_fraction=50)
    await cloud.boot(machine)
    assert float(cloud.inside(machine, f"python3 -c '{BUSY}'")) < 0.6


async def test_the_console_is_kept_until_the_next_start(cloud: Cloud) -> None:
    machine = cloud.machine("a")
    await cloud.boot(machine)
    cloud.inside(machine, "echo from the guest >/dev/console")
    wait_for(
        "the console",
        lambda: b"from the guest" in cloud.driver.console("a") or Pending(repr(cloud.driver.console("a")[-200:])),
        timeout=SLOW,
    )
    await cloud.driver.kill("a")
    assert b"from the guest" in cloud.driver.console("a")
    await cloud.driver.start(machine)
    assert b"from the guest" not in cloud.driver.console("a")


FLOOD = "for i in $(seq 64); do head -c 1M /dev/zero | tr '\\0' x; done >/dev/console"


async def test_a_console_without_end_fills_no_disk_and_keeps_its_beginning_and_its_end(cloud: Cloud) -> None:
    machine = cloud.machine("a")
    pid = await cloud.boot(machine)
    boot = cloud.driver.console("a")
    cloud.inside(machine, f"{FLOOD}; echo the end >/dev/console")
    wait_for(
        "the console's end",
        lambda: b"the end" in cloud.driver.console("a")[-100:] or Pending(repr(cloud.driver.console("a")[-100:])),
        timeout=SLOW,
    )
    files = [file.stat().st_size for file in (cloud.home / "machines/a").glob("console*")]
    assert sum(files) <= console_log.HEAD + console_log.KEPT * console_log.SEGMENT
    assert cloud.driver.console("a").startswith(boot[:1000])
    assert cloud.driver.observe() == {"a": Observed(running=True, pid=pid)}


def flushes(disk: Path) -> int:
    """How often the loop device on that file was flushed: the 16th figure of its stat (block/stat.rst)."""
    (loop,) = [
        loop for loop in Path("/sys/block").glob("loop*/loop/backing_file") if loop.read_text().strip() == str(disk)
    ]
    return int((loop.parent.parent / "stat").read_text().split()[15])


async def test_what_a_guest_synced_was_flushed_to_the_hosts_disk(cloud: Cloud) -> None:
    """Without barriers it would end in the host's memory, and a power cut of the host would take it."""
    machine = cloud.machine("a")
    await cloud.boot(machine)
    before = flushes(machine.boot_disk)
    cloud.inside(machine, "dd if=/dev/zero of=/root/synced bs=4k count=1 conv=fsync status=none")
    assert flushes(machine.boot_disk) > before


async def test_a_power_cut_ends_everything_at_once_and_no_other_machine(cloud: Cloud) -> None:
    cut, other = cloud.machine("a"), cloud.machine("b")
    await cloud.boot(cut)
    pid = await cloud.boot(other)
    cloud.inside(cut, "systemd-run --quiet --no-block bash -c 'while :; do (sleep 1000 &); sleep 0.01; done'")
    began = time.monotonic()
    await cloud.driver.kill("a")
    took = time.monotonic() - began
    print(f"power cut: {took:.3f} s")  # noqa: T201

    assert took < 0.5 * SLOW
    assert cloud.driver.observe() == {"a": Observed(running=False), "b": Observed(running=True, pid=pid)}
    left = leftovers(cloud.home / "machines/a", f"{cloud.prefix}-a") + leftovers(cut.boot_disk, "no-such-name")
    assert [line for line in left if "network namespace" not in line and not line.startswith("mount in")] == []
    assert cloud.inside(other, "echo alive") == "alive"


async def test_a_stop_lets_the_guest_power_off(cloud: Cloud) -> None:
    machine = cloud.machine("a")
    await cloud.boot(machine)
    cloud.inside(machine, "systemd-run --quiet --property=ExecStop='touch /stopped' sleep 1000")
    await cloud.driver.stop("a", grace=10 * SLOW)
    assert cloud.driver.observe() == {"a": Observed(running=False, exit_code=0)}
    await cloud.boot(machine)
    assert cloud.inside(machine, "ls /stopped") == "/stopped"


async def test_a_guest_that_does_not_power_off_within_30_s_is_cut(cloud: Cloud) -> None:
    machine = cloud.machine("a")
    await cloud.boot(machine)
    cloud.inside(machine, "systemd-run --quiet --property=ExecStop='sleep 1000' sleep 1000")
    began = time.monotonic()
    await cloud.driver.stop("a")
    assert 30 <= time.monotonic() - began < 30 + SLOW
    assert cloud.driver.observe() == {"a": Observed(running=False)}


async def test_the_boot_disk_outlives_a_power_cut(cloud: Cloud) -> None:
    machine = cloud.machine("a")
    await cloud.boot(machine)
    cloud.inside(machine, "echo kept >/root/file; sync /root/file")
    await cloud.driver.kill("a")
    await cloud.boot(machine)
    assert cloud.inside(machine, "cat /root/file") == "kept"


async def test_a_guest_that_reboots_is_the_same_machine(cloud: Cloud) -> None:
    machine = cloud.machine("a")
    before = await cloud.boot(machine)
    cloud.inside(machine, "echo kept >/root/file; systemctl reboot --no-block")

    def rebooted() -> bool | Pending:
        seen = cloud.driver.observe()["a"]
        assert seen.running
        return Pending(str(seen)) if seen.pid in {None, before} else True

    await wait_for_async("a reboot", rebooted, timeout=10 * SLOW)
    await cloud.boot(machine)
    assert cloud.inside(machine, "cat /root/file") == "kept"


@pytest.mark.parametrize("victim", ["init", "nspawn"])
async def test_a_machine_that_dies_by_itself_is_seen_as_dead(cloud: Cloud, victim: str) -> None:
    machine = cloud.machine("a")
    pid = await cloud.boot(machine)
    parent = int((await run_async(["ps", "-o", "ppid=", "-p", str(pid)])).stdout)
    os.kill(pid if victim == "init" else parent, signal.SIGKILL)

    def dead() -> Observed | Pending:
        seen = cloud.driver.observe()["a"]
        return Pending(str(seen)) if seen.running else seen

    seen = await wait_for_async("the end", dead, timeout=2 * SLOW)
    assert seen.exit_code not in {None, 0}
    await cloud.boot(machine)


async def test_a_data_disk_goes_from_machine_to_machine(cloud: Cloud) -> None:
    disk = cloud.data_disk()
    node = "/dev/disk/by-id/virtio-data"
    first, second = cloud.machine("a", disks=(disk,)), cloud.machine("b", disks=(disk,))

    await cloud.boot(first)
    assert cloud.inside(first, f"blkid {node} || echo blank; blockdev --getsize64 {node}") == f"blank\n{1 << 30}"
    cloud.inside(first, f"mkfs.ext4 -q {node}; mount {node} /mnt; echo kept >/mnt/file; sync /mnt/file")
    await cloud.driver.remove("a")

    await cloud.boot(second)
    assert cloud.inside(second, f"blkid -o value -s TYPE {node}; mount {node} /mnt; cat /mnt/file") == "ext4\nkept"


async def test_a_daemon_that_is_killed_loses_no_machine(cloud: Cloud) -> None:
    machine = cloud.machine("a")
    daemon = f"""
import asyncio, os, pathlib
from pathlib import PosixPath
from samovar.localcloud.machines import console_log
from samovar.localcloud.machines.driver import NspawnDriver
from samovar.localcloud.machines.model import Machine
driver = NspawnDriver(pathlib.Path({str(cloud.home / "machines")!r}), {cloud.prefix!r})
asyncio.run(driver.start({machine!r}))
os.kill(os.getpid(), 9)
"""
    with pytest.raises(ProcessFailed) as failure:
        await run_async([sys.executable, "-c", daemon], timeout=10 * SLOW)
    assert failure.value.returncode == -signal.SIGKILL

    adopted = cloud.another_driver()
    seen = adopted.observe()["a"]
    assert seen.running
    pid = await cloud.boot(machine)
    assert pid == seen.pid
    assert b"systemd" in adopted.console("a")
    await adopted.stop("a", grace=10 * SLOW)
    assert adopted.observe() == {"a": Observed(running=False, exit_code=0)}


async def test_a_machine_whose_folder_is_lost_is_still_seen_and_removed(cloud: Cloud) -> None:
    await cloud.driver.start(cloud.machine("a"))
    shutil.rmtree(cloud.home / "machines/a")
    another = cloud.another_driver()
    assert another.observe()["a"].running
    await another.remove("a")
    assert another.observe() == {}


async def test_a_start_that_fails_says_why_and_leaves_nothing_running(cloud: Cloud) -> None:
    machine = replace(cloud.machine("a"), netns="no-such-namespace")
    with pytest.raises(HostError, match="no-such-namespace"):
        await cloud.driver.start(machine)
    assert not cloud.driver.observe()["a"].running
    await cloud.boot(cloud.machine("a"))


async def test_a_missing_image_is_an_error_that_names_it(cloud: Cloud) -> None:
    with pytest.raises(HostError, match=r"missing\.raw: No such file"):
        await cloud.driver.start(replace(cloud.machine("a"), image=cloud.home / "missing.raw"))


async def test_machines_of_one_image_share_its_loop_device(cloud: Cloud) -> None:
    for name in ("a", "b"):
        await cloud.driver.start(cloud.machine(name))
    assert sum(str(cloud.image) in line for line in run(["losetup", "--all"]).stdout.splitlines()) == 1


async def test_removing_leaves_the_disks_and_nothing_else(cloud: Cloud) -> None:
    machine = cloud.machine("a")
    await cloud.driver.start(machine)
    await cloud.driver.remove("a")
    await cloud.driver.remove("a")
    await cloud.driver.close()
    assert cloud.driver.observe() == {}
    assert [path.name for path in cloud.home.rglob("*") if path.is_file()] == ["a.raw"]
    assert [line for line in leftovers(cloud.home, cloud.prefix) if "network namespace" not in line] == []
