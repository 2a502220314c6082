"""`cloud up --machines simulated`, by the tool and by a user who is not root."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub

from samovar.core.errors import ExitCode
from samovar.deploy.observe import observe
from samovar.deploy.resources.seed_record import SeedRecord
from samovar.images.publish import published
from tests.support.checkout import ENVIRONMENTS
from tests.support.checkout import environment as load_environment
from tests.support.images import URI, publish_empty
from tests.support.tool import Cli
from tests.support.wait import wait_until

UNPRIVILEGED = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
SPEED = "30"


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that is nobody's, below folders that everybody may enter."""
    created = Path(tempfile.mkdtemp(prefix="samovar-simulated-"))
    shutil.chown(created, "nobody", "nogroup")
    yield created
    shutil.rmtree(created)


@pytest.fixture
def cli(folder: Path) -> Iterator[Cli]:
    tool = Cli(folder / "home", folder / "envs", prefix=UNPRIVILEGED)
    tool.write("dev", (ENVIRONMENTS / "dev/config.yaml").read_text())
    yield tool
    tool.run("cloud", "down", check=False)


def test_an_environment_is_rolled_out_and_heals_on_simulated_machines(cli: Cli) -> None:
    """Rolled out, killed, healed, left by a daemon that ended, taken down and up again, destroyed: all without root."""
    cli.run("cloud", "up", "--machines", "simulated", "--speed", SPEED)
    publish_empty(cli.session(), load_environment("dev", cli.envs))
    cli.run("rollout", "dev", "--yes")
    specs = [each.spec for each in observe(cli.session(), "dev").resources]
    records = [(each.seeded, each.data_format) for each in specs if isinstance(each, SeedRecord)]
    assert records == [(True, "postgresql-17")]
    assert cli.run("plan", "dev").stdout.strip() == "dev: nothing to do"
    before = cli.instance_ids()
    assert len(before) == 5
    cli.run("cloud", "kill", "dev-bingo-1")
    wait_until("another machine", lambda: cli.instance_ids().keys() == before.keys() and cli.instance_ids() != before)
    cli.watched_when("dev", lambda status: status["healthy"])
    assert "dev-bingo-1: recreate: " in cli.run("events", "dev").stdout
    healed = cli.instance_ids()
    assert {name for name, machine_id in healed.items() if before[name] != machine_id} == {"dev-bingo-1"}

    _end_daemon(cli)
    assert len(cli.json("cloud", "status")["machines"]) == 5
    assert cli.watched_when("dev", lambda status: status["healthy"])["simulated"]
    assert cli.instance_ids() == healed

    cli.run("cloud", "down")
    cli.run("cloud", "up")
    cli.watched_when("dev", lambda status: status["healthy"])
    assert cli.instance_ids() == healed
    actual = cli.json("cloud", "status")
    assert actual["simulated"]
    assert {machine["pid"] for machine in actual["machines"]} == {None}
    cli.run("destroy", "dev", "--yes", "--delete-data", "--confirm", "dev")
    assert cli.instance_ids() == {}


def test_a_group_follows_its_load_and_its_size_is_no_drift(cli: Cli) -> None:
    text = (ENVIRONMENTS / "dev/config.yaml").read_text()
    rules = "{min_zone_size: 2, max_size: 5, cpu_utilization: 50, warmup_duration: 0, stabilization_duration: 60}"
    cli.write("dev", text.replace("kind: app\n", f"kind: app\n    autoscale: {rules}\n"))
    cli.run("cloud", "up", "--machines", "simulated", "--speed", "60")
    publish_empty(cli.session(), load_environment("dev", cli.envs))
    cli.run("rollout", "dev", "--yes")
    for load, size in (("190", 4), ("10", 2)):
        cli.run("cloud", "load", "dev-bingo", load)
        cli.watched_when("dev", partial(_has_size, size))
        assert cli.run("plan", "dev").stdout.strip() == "dev: nothing to do"
    for unknown in ("dev-nobody", "Dev_nobody"):
        refused = cli.run("cloud", "load", unknown, "10", check=False)
        assert (refused.code, refused.stderr.partition("\n")[0]) == (
            ExitCode.CONFIG,
            f"samovar: there is no group of simulated machines {unknown}",
        )


def test_an_empty_folder_that_others_may_read_becomes_a_home(cli: Cli, folder: Path) -> None:
    (folder / "home").mkdir(mode=0o755)
    shutil.chown(folder / "home", "nobody", "nogroup")
    cli.run("cloud", "up", "--machines", "simulated")
    assert (folder / "home").stat().st_mode & 0o777 == 0o700


def test_the_kind_of_a_homes_machines_is_for_life(cli: Cli, tmp_path: Path) -> None:
    cli.run("cloud", "up", "--machines", "simulated")
    assert "the local cloud runs already" in cli.run("cloud", "up", "--machines", "simulated", check=False).stderr
    cli.run("cloud", "down")
    refused = cli.run("cloud", "up", "--machines", "real", check=False)
    assert refused.code != ExitCode.OK
    real = Cli(tmp_path / "home", tmp_path / "envs")
    assert "for simulated machines" in real.run("cloud", "up", "--speed", "2", check=False).stderr


def test_dates_follow_the_speed_of_the_simulation(cli: Cli) -> None:
    cli.run("cloud", "up", "--machines", "simulated", "--speed", "500")
    session, environment = cli.session(), load_environment("dev", cli.envs)
    publish_empty(session, environment)
    time.sleep(1)
    earlier = datetime.fromisoformat(max(image.created_at for image in published(session)))
    request = CreateImageRequest(folder_id=session.folder_id, name="later", uri=URI)
    later = Image.FromString(session.client(ImageServiceStub).Create(request).response.value)
    assert later.created_at.ToDatetime(UTC) - earlier > timedelta(seconds=400)


def _has_size(size: int, status: Any) -> bool:
    (bingo,) = (group for group in status["groups"] if group["name"] == "bingo")
    return bool(status["healthy"]) and bingo["size"] == size


def _end_daemon(cli: Cli) -> None:
    pid = cli.endpoint()["pid"]
    os.kill(pid, signal.SIGTERM)
    wait_until("the daemon ends", lambda: not Path(f"/proc/{pid}").exists())
