"""Isolation of machines: root in one of them cannot reach the host or others; users of machines."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit

import pytest

from samovar.core.errors import ProcessFailed
from samovar.core.process import run
from samovar.core.waiting import Pending, wait_for_async
from samovar.localcloud.disks.builder import HostDiskBuilder
from samovar.localcloud.machines.machine_faults import MachineFault
from samovar.localcloud.machines.model import MAX_TASKS
from samovar.localcloud.machines.nspawn import DESCRIPTORS
from tests.support.machine_lab import MachineLab
from tests.support.processes import privileges

SLOW = 60
"""How many times slower than here a host may be, emulated and busy, before a test calls it a fault."""


def loop_number(file: Path) -> str:
    """Major and minor of the loop device on `file`."""
    loops = run(["losetup", "--noheadings", "--list", "--output", "MAJ:MIN,BACK-FILE"]).stdout.splitlines()
    (number,) = (line.split()[0] for line in loops if line.endswith(str(file)))
    return number.replace(":", " ")


def root_number() -> str:
    device = Path("/").stat().st_dev
    return f"{os.major(device)} {os.minor(device)}"


async def test_root_in_a_machine_reaches_no_device_of_another(lab: MachineLab) -> None:
    machine, other = lab.machine("a", disks=(lab.data_disk(),)), lab.machine("b")
    await lab.boot(machine)
    await lab.boot(other)
    assert lab.as_service(machine, "mknod /root/null c 1 3; echo >/root/null; echo works") == "works"
    for number in (loop_number(other.boot_disk), root_number()):
        for fenced in (machine, other):
            with pytest.raises(ProcessFailed, match="Operation not permitted"):
                lab.as_service(fenced, f"rm -f /root/disk; mknod /root/disk b {number}; head -c 1 /root/disk")


LIFT_THE_FENCE = """
mount -t cgroup -o devices devices /mnt || exit 0  # a host without cgroup v1 has its fence elsewhere
find /mnt -name devices.allow | while read file; do echo a >"$file" || echo refused; done
"""


async def test_root_in_a_machine_cannot_lift_its_device_policy(lab: MachineLab) -> None:
    machine, other = lab.machine("a", disks=(lab.data_disk(),)), lab.machine("b")
    await lab.boot(machine)
    await lab.boot(other)
    assert set(lab.as_service(machine, LIFT_THE_FENCE).split()) <= {"refused"}
    with pytest.raises(ProcessFailed, match="Operation not permitted"):
        lab.as_service(machine, f"mknod /root/disk b {loop_number(other.boot_disk)}; head -c 1 /root/disk")


OPEN_BY_HANDLE = "import ctypes; print(ctypes.CDLL(None, use_errno=True).syscall(304, 0, 0, 0), ctypes.get_errno())"


async def test_root_in_a_machine_sees_no_control_group_above_its_own(lab: MachineLab) -> None:
    """Neither by mounting a hierarchy nor by a file handle, which would name any group of it."""
    machine = lab.machine("a", disks=(lab.data_disk(),))
    await lab.boot(machine)
    lab.as_service(machine, "mkdir /run/groups")
    for controller in ("blkio", "cpu", "cpuset", "devices", "freezer", "memory", "pids"):
        hierarchy = lab.as_service(
            machine, f"mount -t cgroup -o {controller} {controller} /run/groups && ls /run/groups || :"
        )
        assert "release_agent" not in hierarchy
        assert lab.prefix not in hierarchy
        lab.as_service(machine, "umount /run/groups || :")
    assert lab.as_service(machine, f"python3 -c '{OPEN_BY_HANDLE}'").startswith("-1 ")


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


async def test_the_processes_of_a_machine_are_bounded(lab: MachineLab) -> None:
    machine = lab.machine("a")
    await lab.boot(machine)
    lab.as_service(machine, f"cat >/root/threads.py <<'END'\n{THREADS}\nEND")
    bomb = "systemd-run --quiet --wait --pipe --property=TasksMax=infinity python3 /root/threads.py"
    assert MAX_TASKS // 2 < int(lab.as_service(machine, bomb)) < MAX_TASKS
    assert lab.as_service(machine, "echo alive") == "alive"


WRITABLE = """
import os
for top in ("/run/seen/proc/sys", "/run/seen/sys"):
    for folder, _, files in os.walk(top):
        for name in files:
            path = os.path.join(folder, name)
            try:
                os.close(os.open(path, os.O_WRONLY))
                print(path.removeprefix("/run/seen"))
            except OSError:
                pass
"""
FRESH = "mkdir -p /run/seen/{proc,sys}; mount -t proc proc /run/seen/proc; mount -t sysfs sys /run/seen/sys"
ITS_OWN = re.compile(
    "/proc/sys/(net|user)/"
    "|/sys/(class|devices/virtual)/net/"
    "|/proc/sys/(fs/mqueue/|kernel/(auto_msgmni|msg|sem|shm))"
    "|/proc/sys/kernel/(ns_last_pid|pid_max)"
)
"""Settings of namespaces that the machine has for itself: of its network, users, IPC and process numbers."""


async def test_root_in_a_machine_opens_no_setting_of_the_host_for_writing(lab: MachineLab) -> None:
    machine = lab.machine("a")
    await lab.boot(machine)
    lab.as_service(machine, f"{FRESH}; cat >/root/writable.py <<'END'\n{WRITABLE}\nEND")
    opened = lab.as_service(machine, "cd /root; python3 writable.py").split()
    assert any(path.startswith("/proc/sys/net/") for path in opened)
    assert [path for path in opened if not ITS_OWN.match(path)] == []
    sysrq = "test ! -e /run/seen/proc/sysrq-trigger || ! (: 9>/run/seen/proc/sysrq-trigger)"
    lab.as_service(machine, sysrq)


async def test_what_a_machine_has_as_nft_runs_with_its_own_users_alone(lab: MachineLab) -> None:
    """A drill cuts a machine off by the machine's own nft, in whose place its root may put another program."""
    machine = lab.machine("a")
    await lab.boot(machine)
    spy = "#!/bin/sh\ncat /proc/self/uid_map >/root/users\n"
    lab.as_service(machine, f"cat >/usr/sbin/nft <<'END'\n{spy}END\nchmod 755 /usr/sbin/nft")
    await lab.driver.cause("a", MachineFault("port", port=80))
    assert lab.as_service(machine, "cat /root/users") == lab.as_service(machine, "cat /proc/self/uid_map")


async def test_machines_have_users_of_their_own_for_life(lab: MachineLab) -> None:
    one, other = lab.machine("a"), lab.machine("b")
    await lab.boot(one)
    await lab.boot(other)
    mapped = [lab.as_service(machine, "tr -s ' ' </proc/self/uid_map").split() for machine in (one, other)]
    assert [line[0] for line in mapped] == ["0", "0"]
    assert [line[2] for line in mapped] == ["65536", "65536"]
    assert mapped[0][1] != mapped[1][1]
    assert privileges(lab.pid(one)).users == {int(mapped[0][1])}
    assert lab.driver.host_users() == {}
    may_raise = "sys_resource" in privileges(os.getpid()).capabilities
    limit = DESCRIPTORS if may_raise else min(DESCRIPTORS, getrlimit(RLIMIT_NOFILE)[1])
    assert int(lab.as_service(one, "ulimit -Hn")) == limit
    await lab.driver.kill("a")
    await lab.boot(one)
    assert lab.as_service(one, "tr -s ' ' </proc/self/uid_map").split() == mapped[0]


async def test_an_image_of_a_disk_keeps_the_files_owners(lab: MachineLab, tmp_path: Path) -> None:
    machine = lab.machine("a")
    await lab.boot(machine)
    lab.as_service(
        machine, "echo kept >/root/file; chown 33:34 /root/file; rm -r /usr/share/samovar; mkdir /usr/share/samovar"
    )
    lab.as_service(
        machine, "cp /bin/true /root/true; setcap cap_net_raw+ep /root/true; getcap /root/true; chmod 4755 /root/true"
    )
    lab.as_service(machine, "setcap cap_net_raw+ep /root/true; sync")
    await lab.driver.stop("a", grace=10 * SLOW)
    merged = tmp_path / "merged.raw"
    await HostDiskBuilder().merge(machine.image, machine.boot_disk, merged)

    heir = replace(lab.machine("b"), image=merged)
    await lab.boot(heir)
    assert lab.as_service(heir, "cat /root/file; stat -c '%u:%g' /root/file /etc/passwd") == "kept\n33:34\n0:0"
    assert lab.as_service(heir, "getcap /root/true; ls /usr/share/samovar") == "/root/true cap_net_raw=ep"
    assert "User:     0   Group:     0" in run(["debugfs", "-R", "stat /root/true", merged]).stdout


async def test_a_machine_with_a_data_disk_has_host_users(lab: MachineLab) -> None:
    machine = lab.machine("a", disks=(lab.data_disk(),))
    await lab.boot(machine)
    assert lab.as_service(machine, "tr -s ' ' </proc/self/uid_map").split() == ["0", "0", "4294967295"]
    assert list(lab.another_driver().host_users()) == ["a"]
    assert "data disk" in lab.driver.host_users()["a"]
    await lab.driver.kill("a")
    assert lab.driver.host_users() == {}


async def test_the_interface_moves_in_at_each_boot(lab: MachineLab) -> None:
    """The name of its namespace leads to it from outside, while the machine runs and afterwards."""
    machine = lab.machine("a")

    def host_mac() -> str:
        return run(["ip", "-n", machine.netns, "-brief", "link", "show", "eth0"]).stdout.split()[2]

    mac = host_mac()
    first = await lab.boot(machine)
    assert lab.as_service(machine, "cat /sys/class/net/eth0/address; cat /sys/class/net/eth0/carrier") == f"{mac}\n1"
    assert host_mac() == mac
    lab.as_service(machine, "systemctl reboot --no-block")
    await wait_for_async(
        "a reboot",
        lambda: lab.driver.observe()["a"].pid not in {None, first} or Pending("the first boot"),
        timeout=SLOW,
    )
    await lab.boot(machine)
    assert lab.as_service(machine, "cat /sys/class/net/eth0/address") == mac
    await lab.driver.kill("a")
    assert host_mac() == mac
    await lab.boot(machine)
    assert lab.as_service(machine, "cat /sys/class/net/eth0/address") == mac
