"""Supervisors and nspawn: the bounds of a machine's size and devices, and its command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from samovar.localcloud.machines import supervisors
from samovar.localcloud.machines.model import BlockDevice, Machine
from samovar.localcloud.machines.nspawn import arguments
from samovar.localcloud.machines.supervisors import CgroupSupervisor, SystemdSupervisor

MACHINE = Machine(
    id="epd1",
    hostname="nginx-1",
    image=Path("/images/a.raw"),
    boot_disk=Path("/disks/b.raw"),
    boot_disk_size=1 << 30,
    cores=2,
    core_fraction=20,
    memory=256 << 20,
    netns="samovar-1-epd1",
)


def test_systemd_holds_a_machine_to_its_size_and_its_devices() -> None:
    devices = [BlockDevice(Path("/dev/loop7"), writable=False), BlockDevice(Path("/dev/loop8"), writable=True)]
    settings = list(supervisors._unit_properties(MACHINE, devices))
    assert {"MemoryMax=268435456", "MemorySwapMax=0", "CPUQuota=200%", "CPUWeight=20", "Delegate=yes"} <= set(settings)
    assert {"DevicePolicy=closed", "TasksMax=2048"} <= set(settings)
    assert [line for line in settings if "loop" in line] == ["DeviceAllow=/dev/loop7 r", "DeviceAllow=/dev/loop8 rw"]


def test_a_cloud_has_a_slice_of_its_own_that_is_in_no_other() -> None:
    assert SystemdSupervisor("samovar-1").unit("epd1") == Path("/sys/fs/cgroup/samovar_1.slice/samovar-1-epd1.service")


def test_the_device_policy_denies_all_devices_first() -> None:
    assert next(supervisors._device_policy_v1([])) == ("devices.deny", "a")


@pytest.fixture
def hybrid(tmp_path: Path) -> Path:
    """A folder like /sys/fs/cgroup of a host with the controllers of cgroup v1 and a cgroup2 without any."""
    for name in ("memory", "cpu", "cpuset", "devices", "pids", "unified"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "cpuset/cpuset.cpus").write_text("0-1\n")
    (tmp_path / "unified/cgroup.controllers").touch()
    return tmp_path


@pytest.fixture
def pure(tmp_path: Path) -> Path:
    """The same of a host with cgroup2 alone."""
    (tmp_path / "cgroup.procs").touch()
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    return tmp_path


async def test_cgroup_v1_bounds_size_and_devices(hybrid: Path, tmp_path: Path) -> None:
    with capture_logs() as logs:
        supervisor = CgroupSupervisor("samovar-1", hybrid)
        await supervisor.launch(MACHINE, [], ["true"], tmp_path / "console")
    assert logs == []
    assert supervisor.unit("epd1") == hybrid / "unified/samovar-1/epd1"
    groups = {guest.relative_to(hybrid).parts[0]: guest for guest in supervisor.groups("epd1")}
    assert set(groups) == {"memory", "cpu", "cpuset", "devices", "pids"}
    assert (groups["memory"].parent / "memory.limit_in_bytes").read_text() == str(256 << 20)
    assert (groups["cpu"].parent / "cpu.cfs_quota_us").read_text() == "200000"
    assert (groups["cpu"].parent / "cpu.shares").read_text() == "204"
    assert (groups["pids"].parent / "pids.max").read_text() == "2048"
    assert (groups["devices"].parent / "devices.deny").read_text() == "a"
    assert (groups["cpuset"] / "cpuset.cpus").read_text() == "0-1\n"


async def test_the_guest_has_a_group_below_the_one_that_bounds_it(hybrid: Path, tmp_path: Path) -> None:
    supervisor = CgroupSupervisor("samovar-1", hybrid)
    await supervisor.launch(MACHINE, [], ["true"], tmp_path / "console")
    for guest in supervisor.groups("epd1"):
        assert guest.parent.name == "epd1"
        assert {file.name for file in guest.iterdir()} <= {"cpuset.cpus"}


async def test_cgroup2_bounds_size_and_warns_of_the_missing_device_policy(pure: Path) -> None:
    with capture_logs() as logs:
        supervisor = CgroupSupervisor("samovar-1", pure)
        await supervisor.launch(MACHINE, [], ["true"], pure / "console")
        await supervisor.launch(MACHINE, [], ["true"], pure / "console")
    assert [line["event"].split(":")[0] for line in logs] == ["no device policy"]
    unit = supervisor.unit("epd1")
    assert supervisor.groups("epd1") == ()
    assert (unit / "memory.max").read_text() == str(256 << 20)
    assert (unit / "cpu.max").read_text() == "200000 100000"
    assert (unit / "cpu.weight").read_text() == "20"
    assert (unit / "pids.max").read_text() == "2048"


def test_the_supervisor_follows_the_hosts_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisors, "SYSTEMD_IS_INIT", tmp_path)
    assert isinstance(supervisors.supervisor_of_this_host("samovar-1"), SystemdSupervisor)
    monkeypatch.setattr(supervisors, "SYSTEMD_IS_INIT", tmp_path / "absent")
    assert isinstance(supervisors.supervisor_of_this_host("samovar-1"), CgroupSupervisor)


def test_a_guest_finds_its_data_disks_by_their_names() -> None:
    argv = arguments(MACHINE, Path("/srv/epd1"), {"data": Path("/dev/loop9")})
    assert "--bind=/dev/loop9:/dev/disk/by-id/virtio-data" in argv
    assert "--network-namespace-path=/run/netns/samovar-1-epd1" in argv
    assert "--hostname=nginx-1" in argv
    assert not [argument for argument in argv if argument.startswith("--private-")]


def test_a_guest_in_a_user_namespace_waits_for_its_interface() -> None:
    argv = arguments(MACHINE, Path("/srv/epd1"), {}, 0x7801_0000)
    assert {"--private-users=2013331456:65536", "--private-users-ownership=off", "--private-network"} <= set(argv)
    assert not [argument for argument in argv if argument.startswith("--network-namespace-path")]
    assert argv[-1].endswith("read -r _ </run/host/size/plugged; exec /sbin/init")
