"""The whole service from one file, on real machines: edges, bingos, database, and what survives what."""

from __future__ import annotations

import http.client
import json
import signal
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import TypeAdapter

from samovar.core.errors import ExitCode
from samovar.core.output import to_plain
from samovar.deploy.plan import Plan
from samovar.deploy.status import Status
from samovar.images.listing import ImageList
from tests.support.capabilities import CAP_SYS_RESOURCE, has_capability
from tests.support.checkout import ENVIRONMENTS
from tests.support.documentation import drill_project
from tests.support.http_load import Kind, get, http_load
from tests.support.leftovers import leftovers
from tests.support.run_in_machine import run_in_machine
from tests.support.tool import TIMEOUT, Cli, first_answer, rolled_out
from tests.support.wait import wait_until

pytestmark = pytest.mark.alone

PAGE = "  page: {image: samovar/edge, size: 1, machine: {cores: 2, core_fraction: 20, memory: 1G, disk: 1G}}\n"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with rolled_out(tmp_path_factory.mktemp("whole"), ENVIRONMENTS / "dev/config.yaml") as tool:
        yield tool


@pytest.fixture
def address(cli: Cli) -> str:
    return cli.address("dev")


def _post(address: str, path: str, value: Any) -> Any:
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("POST", path, json.dumps(value), {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status in {200, 201}, response.status
        return json.loads(response.read())
    finally:
        connection.close()


def test_requests_go_all_the_way_to_the_database(cli: Cli, address: str) -> None:
    assert cli.json("plan", "dev")["steps"] == []
    assert first_answer(lambda: get(address, "/ping")) == "pong"
    assert first_answer(lambda: get(address, "/db_dummy", timeout=20))
    assert json.loads(get(address, "/api/movie/1"))
    self_signed = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    self_signed.check_hostname, self_signed.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, timeout=10, context=self_signed)
    connection.request("GET", "/ping")
    assert connection.getresponse().read().strip() == b"pong"
    connection.close()


def test_a_drill_from_a_file_measures_detection_and_recovery(cli: Cli, tmp_path: Path) -> None:
    report = cli.json("--project", drill_project(tmp_path), "drill", "dev", "mine", "bingo", "bingo.service")
    assert (report["fault"], report["violations"]) == ("dev-bingo-1: crash bingo.service", [])
    assert (report["verdict"], report["healed_by"]) in [("held", ["systemd"]), ("degraded", ["systemd"])]
    assert 0 < report["seconds_to_detect"] <= report["seconds_to_recover"]
    assert report["requests"] > 20
    unknown = cli.run("drill", "dev", "crash", "bingo", "bongo.service", check=False)
    assert (unknown.code, "bongo.service" in unknown.stderr) == (ExitCode.CLOUD, True)


def test_json_of_plan_status_and_images_has_the_documented_shape(cli: Cli, address: str) -> None:
    assert address
    for shape, command in ((Plan, ["plan", "dev"]), (Status, ["status", "dev"]), (ImageList, ["images"])):
        assert to_plain(TypeAdapter[Any](shape).validate_python(printed := cli.json(*command))) == printed


def test_a_group_added_and_removed_in_the_file_changes_no_other_machine(cli: Cli, address: str) -> None:
    before = cli.instance_ids()
    file = (cli.envs / "dev/config.yaml").read_text()
    cli.write("dev", file + PAGE)
    assert {change["name"] for change in cli.json("plan", "dev")["steps"]} == {"dev-page"}
    cli.run("rollout", "dev", "--yes")
    assert cli.instance_ids().keys() - before.keys() == {"dev-page-1"}
    assert before.items() <= cli.instance_ids().items()
    cli.write("dev", file)
    cli.run("rollout", "dev", "--yes")
    assert cli.instance_ids() == before
    assert first_answer(lambda: get(address, "/ping")) == "pong"


def test_a_change_of_one_group_leaves_the_machines_of_the_others(cli: Cli, address: str) -> None:
    before = cli.instance_ids()
    cli.edit("dev", "kind: edge\n", "kind: edge\n    settings: {worker_connections: 2048}\n")
    cli.run("rollout", "dev", "--yes")
    after = cli.instance_ids()
    same = {name for name in after if after[name] == before.get(name)}
    assert same == {"dev-bingo-1", "dev-bingo-2", "dev-postgres-1"}
    assert len(after) == len(before)
    assert first_answer(lambda: get(address, "/ping")) == "pong"


def test_the_disk_of_the_database_grows_while_it_serves(cli: Cli, address: str) -> None:
    """The machine reports where ext4 may not grow while it is mounted, and grows it at its next start."""
    machines = cli.instance_ids()
    cli.edit("dev", "    image: postgres-small\n", "    image: postgres-small\n    data_disks: {data: {size: 12G}}\n")
    (step,) = cli.json("plan", "dev")["steps"]
    assert (step["action"], step["name"]) == ("update", "dev-postgres-data")
    with http_load(address, Kind("/db_dummy"), rate=5.0) as load:
        cli.run("rollout", "dev", "--yes")
        online = has_capability(CAP_SYS_RESOURCE)
        grown = f"data disk data has {'a file system of 12G now' if online else 'grown, and its file system will'}"
        wait_until(grown, lambda: grown in cli.run("logs", "dev", "postgres-1").stdout, timeout=TIMEOUT)
    assert (load.failed, cli.instance_ids()) == ([], machines)
    old = cli.pid("dev-postgres-1")
    cli.run("cloud", "kill", "dev-postgres-1")
    cli.wait_until_replaced("dev", "dev-postgres-1", old)
    size = run_in_machine(cli.pid("dev-postgres-1"), "df", "--output=size", "--block-size=1G", "/data")
    assert int(size.split()[-1]) == 12


def test_rollout_of_prod_beside_dev_is_locked_interrupted_finished_and_destroyed(cli: Cli, address: str) -> None:
    """Rolled out by one, refused to another meanwhile, cut short, finished by the next run; dev never notices."""
    before = cli.instance_ids()
    prod = (ENVIRONMENTS / "prod/config.yaml").read_text()
    cli.write("prod", prod.replace("image: postgres\n", "image: postgres-small\n"))
    rollout = cli.start("rollout", "prod", "--yes")
    assert rollout.stderr
    assert "create" in rollout.stderr.readline()
    refused = cli.run("rollout", "prod", "--yes", check=False)
    assert (refused.code, f"-{rollout.pid} since " in refused.stderr) == (ExitCode.LOCKED, True)
    rollout.send_signal(signal.SIGINT)
    errors = rollout.communicate(timeout=TIMEOUT)[1]
    assert (rollout.returncode, "run the command again" in errors) == (ExitCode.INTERRUPTED, True)
    cli.run("rollout", "prod", "--yes")
    beside = cli.address("prod")
    assert beside != address
    for each in (address, beside):
        assert first_answer(partial(get, each, "/db_dummy", timeout=20))
    assert {name for name in cli.instance_ids() if name.startswith("dev-")} == before.keys()
    cli.run("destroy", "prod", "--delete-data", "--confirm", "prod")
    assert cli.instance_ids() == before
    assert first_answer(lambda: get(address, "/ping")) == "pong"
    assert get(address, "/long_dummy", timeout=5), "it is at hand, though nobody asked for it all the while"


def test_a_machine_whose_bingo_cannot_start_is_recreated(cli: Cli, address: str) -> None:
    """Nothing that happens to it on its machine helps: the watchdog gives up, and the group makes the machine anew."""
    broken = cli.instance_ids()["dev-bingo-2"]
    spoil = "chmod 000 /opt/bingo/bingo; systemctl kill --signal=KILL bingo"
    run_in_machine(cli.pid("dev-bingo-2"), "sh", "-c", spoil)
    cli.status_when("dev", lambda status: not status["healthy"])
    assert cli.instance_ids()["dev-bingo-2"] == broken, "first the balancer lets go of it"
    wait_until("the machine is made anew", lambda: broken not in cli.instance_ids().values(), timeout=TIMEOUT)
    cli.status_when("dev", lambda status: status["healthy"])
    assert first_answer(lambda: get(address, "/db_dummy", timeout=20))


def test_rows_and_address_outlive_a_destroyed_environment(cli: Cli, address: str) -> None:
    written = first_answer(lambda: _post(address, "/api/session", {"customer_id": 1, "movie_id": 1}))
    path = f"/api/session/{written['id']}"
    kept = cli.run("destroy", "dev", "--yes", "--keep-address").stderr
    assert "keep disk dev-postgres-data" in kept
    assert "keep address dev-nginx" in kept
    assert cli.instance_ids() == {}
    cli.run("rollout", "dev", "--yes")
    assert urlsplit(cli.status("dev")["endpoints"]["http"][0]).netloc == address
    assert json.loads(first_answer(lambda: get(address, path, timeout=20)))["id"] == written["id"]


def test_destroy_with_delete_data_and_cloud_down_leave_nothing(cli: Cli, address: str) -> None:
    assert address
    number = cli.endpoint()["number"]
    cli.run("destroy", "dev", "--delete-data", "--confirm", "dev")
    assert cli.json("cloud", "status")["machines"] == []
    assert not list((cli.home / "disks").iterdir())
    cli.run("cloud", "down")
    assert leftovers(cli.home, f"samovar-{number}") == []
