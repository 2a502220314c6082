"""A store that was lost, damaged, or put back from a backup: no disk is lost by it, and the way back is said."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

from yandex.cloud.compute.v1.disk_service_pb2 import CreateDiskMetadata, CreateDiskRequest
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.instance_pb2 import Instance

from samovar.core.errors import ExitCode
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.cloud import Cloud, power_on, running
from samovar.localcloud.home.home import Home
from samovar.localcloud.host_drivers import Host
from samovar.localcloud.machines.model import Observed
from samovar.localcloud.simulated.machines import SimulatedDiskBuilder, SimulatedDriver
from samovar.localcloud.simulated.settings import NUMBER
from samovar.localcloud.simulated.simulated_fabric import SimulatedFabric
from samovar.localcloud.store.store import Store
from tests.support.tool import Cli


def make_disk(cli: Cli, rows: bytes) -> Path:
    """A disk with something on it."""
    session = cli.session()
    request = CreateDiskRequest(folder_id=session.folder_id, zone_id="ru-central1-a", size=4 << 20)
    created = session.client(DiskServiceStub).Create(request)
    file = cli.home / "disks" / f"{CreateDiskMetadata.FromString(created.metadata.value).disk_id}.raw"
    with file.open("r+b") as disk:
        disk.write(rows)
    return file


def mend(text: str) -> None:
    """Type the command that a remedy names."""
    actual = re.search(r"in its place: (mv .*cloud-[^ ;]*\.sqlite \S*cloud\.sqlite)", text)
    assert actual, text
    subprocess.run(["bash", "-ec", actual[1]], check=True)


def test_a_lost_store_is_refused_and_its_backup_brings_everything_back(cli: Cli) -> None:
    cli.run("cloud", "up")
    old = make_disk(cli, b"old")
    cli.run("cloud", "down")
    cli.run("cloud", "up")  # makes a backup that knows the disk
    new = make_disk(cli, b"new")
    cli.run("cloud", "down")
    (cli.home / "cloud.sqlite").write_bytes(b"")
    refused = cli.run("cloud", "up", check=False)
    assert refused.code == ExitCode.HOST
    assert "knows no disk, but" in refused.stderr
    assert "holds 2" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert {old.read_bytes()[:3], new.read_bytes()[:3]} == {b"old", b"new"}
    mend(refused.stderr)
    cli.run("cloud", "up")
    assert old.read_bytes()[:3] == b"old"
    (aside,) = (cli.home / "quarantine").rglob("*.raw")
    assert (aside.name, aside.read_bytes()[:3]) == (new.name, b"new")
    assert any(str(aside) in warning for warning in cli.json("cloud", "status")["warnings"])
    assert str(aside) in cli.run("cloud", "status").stdout.replace("\n", "")
    aside.unlink()
    assert cli.json("cloud", "status")["warnings"] == []


def test_a_damaged_store_is_an_error_with_the_restore_command(cli: Cli) -> None:
    cli.run("cloud", "up")
    disk = make_disk(cli, b"rows")
    cli.run("cloud", "down")
    cli.run("cloud", "up")
    cli.run("cloud", "down")
    (cli.home / "cloud.sqlite").write_bytes(b"not a database" * 1000)
    refused = cli.run("cloud", "up", check=False)
    assert refused.code == ExitCode.HOST
    assert "cloud.sqlite is damaged: file is not a database" in refused.stderr
    assert "Traceback" not in refused.stderr
    mend(refused.stderr)
    cli.run("cloud", "up")
    assert disk.read_bytes()[:4] == b"rows"
    assert cli.json("cloud", "status")["warnings"] == []


class _Slow(SimulatedDriver):
    """Machines that take a while to power off; it keeps what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []

    async def stop(self, machine_id: str, *, grace: float = 30.0) -> None:
        self.asked.append(("stop", machine_id))
        await asyncio.sleep(0.3)
        await super().stop(machine_id, grace=grace)

    async def remove(self, machine_id: str) -> None:
        self.asked.append(("remove", machine_id))
        await super().remove(machine_id)


async def test_an_unknown_machine_is_shut_down_first(tmp_path: Path) -> None:
    """It may hold the data disk that the store knows as the other one's, which is to start anew."""
    home, driver = Home(tmp_path / "home"), _Slow()
    home.make()
    store = Store(home.database)
    host = Host(NUMBER, driver, SimulatedFabric(driver.answer), SimulatedDiskBuilder())
    cloud = Cloud(home, store, Tokens(home.pki / "token-secret"), host)
    driver.machines["newer"] = Observed(running=True, pid=1)
    store.put(Instance(id="older", status=Instance.RESTARTING))
    async with running(cloud):
        await asyncio.sleep(0.1)
        assert driver.asked == [("stop", "newer")]
        (warning,) = cloud.status().warnings
        assert "machine newer is unknown to the store" in warning
        async with asyncio.timeout(10):
            while len(driver.asked) < 3:  # noqa: ASYNC110 - the driver is simulated
                await asyncio.sleep(0.01)
        assert driver.asked[1:] == [("remove", "newer"), ("stop", "older")]
        assert cloud.status().warnings == ()
    await cloud.take_down()
    store.close()


def test_crashed_machines_run_again_after_a_reboot(tmp_path: Path) -> None:
    """A host that shuts down ends machines before the daemon; they look as if they had crashed."""
    store = Store(tmp_path / "cloud.sqlite")
    statuses = (Instance.RUNNING, Instance.CRASHED, Instance.STOPPED, Instance.ERROR)
    for number, status in enumerate(statuses):
        store.put(Instance(id=str(number), status=status))
    power_on(store)
    after = [instance.status for instance in store.all(Instance)]
    assert after == [Instance.STARTING, Instance.STARTING, Instance.STOPPED, Instance.ERROR]
    store.close()
