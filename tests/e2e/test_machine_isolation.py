"""What root in a machine cannot do to the host and to other machines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from samovar.core.errors import ProcessFailed
from samovar.core.process import run
from samovar.localcloud.machines.guest_proc import TASKS
from tests.support.driven import Cloud


def loop_number(file: Path) -> str:
    """Major and minor of the loop device on `file`."""
    loops = run(["losetup", "--noheadings", "--list", "--output", "MAJ:MIN,BACK-FILE"]).stdout.splitlines()
    (number,) = (line.split()[0] for line in loops if line.endswith(str(file)))
    return number.replace(":", " ")


def root_number() -> str:
    device = Path("/").stat().st_dev
    return f"{os.major(device)} {os.minor(device)}"


async def test_root_in_a_machine_reaches_no_device_of_another(cloud: Cloud) -> None:
    machine, other = cloud.machine("a", disks=(cloud.data_disk(),)), cloud.machine("b")
    await cloud.boot(machine)
    await cloud.boot(other)
    assert cloud.inside(machine, "mknod /root/null c 1 3; echo >/root/null; echo works") == "works"
    for number in (loop_number(other.boot_disk), root_number()):
        for fenced in (machine, other):
            with pytest.raises(ProcessFailed, match="Operation not permitted"):
                cloud.inside(fenced, f"rm -f /root/disk; mknod /root/disk b {number}; head -c 1 /root/disk")


LIFT_THE_FENCE = """
mount -t cgroup -o devices devices /mnt || exit 0  # a host without cgroup v1 has its fence elsewhere
find /mnt -name devices.allow | while read file; do echo a >"$file" || echo refused; done
"""


async def test_root_in_a_machine_cannot_lift_its_fence(cloud: Cloud) -> None:
    machine, other = cloud.machine("a", disks=(cloud.data_disk(),)), cloud.machine("b")
    await cloud.boot(machine)
    await cloud.boot(other)
    assert set(cloud.inside(machine, LIFT_THE_FENCE).split()) <= {"refused"}
    with pytest.raises(ProcessFailed, match="Operation not permitted"):
        cloud.inside(machine, f"mknod /root/disk b {loop_number(other.boot_disk)}; head -c 1 /root/disk")


OPEN_BY_HANDLE = "import ctypes; print(ctypes.CDLL(None, use_errno=True).syscall(304, 0, 0, 0), ctypes.get_errno())"


async def test_root_in_a_machine_sees_no_control_group_above_its_own(cloud: Cloud) -> None:
    """Neither by mounting a hierarchy nor by a file handle, which would name any group of it."""
    machine = cloud.machine("a", disks=(cloud.data_disk(),))
    await cloud.boot(machine)
    cloud.inside(machine, "mkdir /run/groups")
    for controller in ("blkio", "cpu", "cpuset", "devices", "freezer", "memory", "pids"):
        seen = cloud.inside(machine, f"mount -t cgroup -o {controller} {controller} /run/groups && ls /run/groups || :")
        assert "release_agent" not in seen
        assert cloud.prefix not in seen
        cloud.inside(machine, "umount /run/groups || :")
    assert cloud.inside(machine, f"python3 -c '{OPEN_BY_HANDLE}'").startswith("-1 ")


THREADS = """
import _thread, time
_thread.stack_size(1 << 16)
count = 0
try:
    while count < 5000:
        _thread.start_new_thread(time.sleep, (60,))
        count += 1
except RuntimeError:
    pass
print(count, flush=True)
import os
os._exit(0)
"""


async def test_the_processes_of_a_machine_are_bounded(cloud: Cloud) -> None:
    machine = cloud.machine("a")
    await cloud.boot(machine)
    cloud.inside(machine, f"cat >/root/threads.py <<'END'\n{THREADS}\nEND")
    bomb = "systemd-run --quiet --wait --pipe --property=TasksMax=infinity python3 /root/threads.py"
    assert TASKS // 2 < int(cloud.inside(machine, bomb)) < TASKS
    assert cloud.inside(machine, "echo alive") == "alive"
