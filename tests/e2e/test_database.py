"""The database of a whole environment: who gets in, what a power cut costs, and that lost rows are never made up for.

Also its password: what a machine does that cannot get it.

One cloud and one environment for the module; the last test spoils it.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1.disk_service_pb2 import ListDisksRequest
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.compute.v1.snapshot_service_pb2 import CreateSnapshotRequest, DeleteSnapshotRequest
from yandex.cloud.compute.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from yandex.cloud.vpc.v1.route_table_service_pb2 import UpdateRouteTableRequest
from yandex.cloud.vpc.v1.route_table_service_pb2_grpc import RouteTableServiceStub

from samovar.cloud.connect import connect
from samovar.core.cloud_kind import CloudKind
from samovar.core.errors import ExitCode
from samovar.deploy.observe import observe
from samovar.deploy.resources.registry import HANDLERS
from samovar.deploy.resources.resource import Kind, Ref
from tests.support.checkout import ROOT
from tests.support.http_load import get
from tests.support.run_in_machine import run_in_machine
from tests.support.tool import TIMEOUT, Cli, first_answer, rolled_out
from tests.support.wait import wait_until

pytestmark = pytest.mark.long
ROWS = 50_000
"""Sessions of postgres-small."""
EDGES = "kind: edge\n    size: 2\n"
WRITERS = 4
# Runs in a machine's network: what PostgreSQL answers there, as JSON.
ASK = """
import json, socket, ssl, sys
from pg8000.native import Connection

asked = json.loads(sys.argv[1])
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
try:
    connection = Connection(
        asked["user"], asked["host"], "bingo", 5432, asked["password"], timeout=5,
        ssl_context=context if asked["tls"] else False,
    )
    print(json.dumps(connection.run(asked["sql"])))
except Exception as error:
    print(json.dumps(f"{type(error).__name__}: {error}"))
"""
WHO = "SELECT current_user, ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("database")
    config = (ROOT / "envs/dev/config.yaml").read_text()
    assert EDGES in config
    (folder / "config.yaml").write_text(config.replace(EDGES, EDGES.replace("size: 2", "size: 1")))
    with rolled_out(folder, folder / "config.yaml") as tool:
        yield tool


@pytest.fixture
def address(cli: Cli) -> str:
    return cli.address("dev")


def machine_of(status: Any, name: str) -> Any:
    return next(each for group in status["groups"] for each in group["machines"] if each["name"] == name)


def machine(cli: Cli, name: str) -> Any:
    return machine_of(cli.status("dev"), name)


def main_pid(cli: Cli, machine: str, unit: str) -> str:
    return run_in_machine(cli.pid(machine), "systemctl", "show", "--property=MainPID", "--value", unit).strip()


def password(cli: Cli) -> str:
    """Return the password that bingo has."""
    config = f"/proc/{cli.pid('dev-bingo-2')}/root/opt/bingo/config.yaml"
    return str(yaml.safe_load(Path(config).read_text())["postgres_cluster"]["password"])


def sql(cli: Cli, source: str, statement: str = WHO, *, user: str = "bingo", tls: bool = True, wrong: str = "") -> Any:
    """The rows, or the error, as from inside the machine `source`."""
    asked = {"host": machine(cli, "dev-postgres-1")["address"], "user": user, "tls": tls, "sql": statement}
    arguments = json.dumps(asked | {"password": password(cli) + wrong})
    inside = ["nsenter", "--net", "--target", str(cli.pid(source)), sys.executable, "-c", ASK, arguments]
    return json.loads(subprocess.check_output(inside, text=True, timeout=TIMEOUT))


def test_only_a_bingo_with_the_password_over_tls_gets_in(cli: Cli, address: str) -> None:
    assert address
    assert sql(cli, "dev-bingo-1") == [["bingo", True, "TLSv1.3"]]
    assert "no encryption" in sql(cli, "dev-bingo-1", tls=False)
    assert "password authentication failed" in sql(cli, "dev-bingo-1", wrong="x")
    assert "password authentication failed" in sql(cli, "dev-bingo-1", user="postgres")
    assert "Can't create a connection" in sql(cli, "dev-nginx-1")
    written = [cli.home / "daemon.log", *cli.home.glob("machines/*/console")]
    assert len(written) == 5
    assert [str(file) for file in written if password(cli) in file.read_text(errors="replace")] == []
    kept = "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
    assert sql(cli, "dev-bingo-1", kept) == [["fsync", "on"], ["full_page_writes", "on"], ["synchronous_commit", "on"]]


class Writer(threading.Thread):
    """One session after another; remembers those that were acknowledged, and when."""

    def __init__(self, address: str, end: threading.Event) -> None:
        super().__init__()
        self._address, self._end = address, end
        self.acknowledged: dict[int, float] = {}

    def run(self) -> None:
        while not self._end.wait(0.02):
            connection = http.client.HTTPConnection(self._address, timeout=10)
            try:
                connection.request("POST", "/api/session", json.dumps({"customer_id": 1, "movie_id": 1}))
                response = connection.getresponse()
                document = json.loads(response.read()) if response.status == 200 else {}
            except (OSError, http.client.HTTPException, ValueError):
                continue
            finally:
                connection.close()
            if "id" in document:
                self.acknowledged[document["id"]] = time.monotonic()


def test_a_power_cut_under_writes_loses_no_row_that_was_acknowledged(cli: Cli, address: str) -> None:
    before = cli.instance_ids()
    end = threading.Event()
    writers = [Writer(address, end) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        time.sleep(3)
        old, killed = cli.pid("dev-postgres-1"), time.monotonic()
        cli.run("cloud", "kill", "dev-postgres-1")
        cli.wait_until_replaced("dev", "dev-postgres-1", old)
        wait_until(
            "a write is acknowledged again",
            lambda: any(when > killed + 2 for writer in writers for when in list(writer.acknowledged.values())),
            timeout=TIMEOUT,
        )
        time.sleep(1)
    finally:
        end.set()
        for writer in writers:
            writer.join()
    when = sorted(moment for writer in writers for moment in writer.acknowledged.values())
    outage = max(later - earlier for earlier, later in pairwise(when))
    print(f"postgres killed: {len(when)} rows acknowledged, none for {outage:.1f} s")  # noqa: T201
    assert when[0] < killed
    assert outage < 60
    acknowledged = {number for writer in writers for number in writer.acknowledged}
    there = {row[0] for row in sql(cli, "dev-bingo-2", "SELECT id FROM sessions")}
    assert acknowledged - there == set()
    assert len(acknowledged) == len(when)
    assert cli.instance_ids() == before, "the group starts the machine again, with the disks that it has"


CHECK = "/usr/lib/postgresql/current/bin/pg_amcheck --install-missing --database=bingo --host=/run/postgresql"


def test_rows_of_a_snapshot_that_was_taken_under_writes_are_there_again_after_a_restore(cli: Cli, address: str) -> None:
    """Those that were acknowledged before it, and none that were written after; PostgreSQL finds its files in order."""
    end = threading.Event()
    writers = [Writer(address, end) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        time.sleep(2)
        began = time.monotonic()
        taken = cli.run("disk", "snapshot", "dev", "postgres")
        ended = time.monotonic()
        time.sleep(2)
    finally:
        end.set()
        for writer in writers:
            writer.join()
    name = taken.stdout.strip()
    lines = taken.stderr.splitlines()
    assert lines[0].startswith(f"{name}: Create snapshot: dev-postgres-1 cannot write to the disk for about")
    assert f"{name}: Create snapshot: nothing was written to the disk for" in lines[-1]
    print(lines[0], lines[-1])  # noqa: T201
    moments = {number: when for writer in writers for number, when in writer.acknowledged.items()}
    before = {number for number, when in moments.items() if when < began}
    after = {number for number, when in moments.items() if when > ended + 1}
    assert before
    assert after
    (snapshot,) = cli.json("disk", "list", "dev")["snapshots"]
    assert (snapshot["name"], snapshot["disk"], snapshot["status"]) == (name, "dev-postgres-data", "READY")
    subprocess.check_call(["e2fsck", "-f", "-n", cli.home / "snapshots" / f"{snapshot['id']}.raw"])

    cli.run("disk", "restore", "dev", name, "--yes")
    cli.run("rollout", "dev", "--yes")
    there = {row[0] for row in sql(cli, "dev-bingo-1", "SELECT id FROM sessions")}
    assert before - there == set()
    assert after & there == set()
    as_postgres(cli, CHECK)
    (former,) = (disk["name"] for disk in cli.json("disk", "list", "dev")["disks"] if not disk["attached"])
    assert former.startswith("dev-postgres-data-replaced-")
    cli.run("disk", "delete", "dev", former, name, "--yes")
    assert cli.json("disk", "list", "dev")["snapshots"] == []


DISK = 'data_disks: {files: {size: 1G, mount: /srv/files, owner: "postgres:postgres"}}'
KIND = "    kind: postgres\n"


def as_postgres(cli: Cli, command: str) -> str:
    """Return the output of a command of the user `postgres` in the database's machine."""
    return run_in_machine(cli.pid("dev-postgres-1"), "runuser", "-u", "postgres", "--", "sh", "-c", command)


def test_a_disk_that_is_added_to_a_running_group_outlives_its_machines_and_its_removal(cli: Cli, address: str) -> None:
    """Rows and files are there after a power cut, after a rolling update, and when a larger disk is brought back."""
    assert address
    rows = int(sql(cli, "dev-bingo-1", "SELECT count(*) FROM sessions")[0][0])
    cli.edit("dev", KIND, f"{KIND}    {DISK}\n")
    steps = {(step["action"], step["name"]): step["reason"] for step in cli.json("plan", "dev")["steps"]}
    assert steps.keys() == {("create", "dev-postgres-files"), ("update", "dev-postgres")}
    assert "-> data=dev-postgres-data, files=dev-postgres-files" in steps["update", "dev-postgres"]
    cli.run("rollout", "dev", "--yes")
    assert as_postgres(cli, "echo kept >/srv/files/a; sync /srv/files/a; stat -c %U /srv/files").split() == ["postgres"]
    old = cli.pid("dev-postgres-1")
    cli.run("cloud", "kill", "dev-postgres-1")
    cli.wait_until_replaced("dev", "dev-postgres-1", old)
    assert as_postgres(cli, "cat /srv/files/a") == "kept\n"

    cli.edit("dev", KIND, f"{KIND}    settings: {{parameters: {{work_mem: 8MB}}}}\n")
    cli.run("rollout", "dev", "--yes")
    assert as_postgres(cli, "cat /srv/files/a") == "kept\n"
    assert int(sql(cli, "dev-bingo-1", "SELECT count(*) FROM sessions")[0][0]) == rows

    cli.edit("dev", f"    {DISK}\n", "")
    cli.run("rollout", "dev", "--yes")
    assert as_postgres(cli, "test ! -e /srv/files/a && echo gone") == "gone\n"
    plan = cli.json("plan", "dev")
    assert (plan["steps"], [kept["name"] for kept in plan["kept"]]) == ([], ["dev-postgres-files"])
    assert int(sql(cli, "dev-bingo-1", "SELECT count(*) FROM sessions")[0][0]) == rows

    cli.edit("dev", KIND, f"{KIND}    {DISK.replace('1G', '2G')}\n")
    cli.run("rollout", "dev", "--yes")
    assert as_postgres(cli, "cat /srv/files/a") == "kept\n"
    assert int(as_postgres(cli, "df --output=size --block-size=1M /srv/files | tail -n 1")) > 1500


READ = 'mount -o ro,loop "$1" /mnt; cat /mnt/etc/samovar-mark; test -x /mnt/usr/lib/systemd/systemd'


def test_a_running_boot_disk_s_snapshot_holds_its_image_and_what_the_machine_wrote(cli: Cli, address: str) -> None:
    assert address
    run_in_machine(cli.pid("dev-nginx-1"), "sh", "-c", "printf written >/etc/samovar-mark")
    session = cli.session()
    request = ListDisksRequest(folder_id=session.folder_id)
    disks = session.list(session.client(DiskServiceStub).List, request, lambda page: page.disks)
    machine_id = cli.instance_ids()["dev-nginx-1"]
    (disk,) = (disk for disk in disks if machine_id in disk.instance_ids)
    create = CreateSnapshotRequest(folder_id=session.folder_id, disk_id=disk.id)
    done = session.finish(session.client(SnapshotServiceStub).Create(create), what="snapshot")
    snapshot = Snapshot.FromString(done.response.value)
    inside = ["unshare", "--mount", "--propagation", "private", "bash", "-euc", READ, "bash"]
    file = cli.home / "snapshots" / f"{snapshot.id}.raw"
    assert subprocess.check_output([*inside, str(file)], text=True) == "written"
    delete = DeleteSnapshotRequest(snapshot_id=snapshot.id)
    session.finish(session.client(SnapshotServiceStub).Delete(delete), what="delete the snapshot")
    assert not file.exists()


def test_a_machine_that_boots_without_lockbox_reports_it_and_goes_on_when_lockbox_answers(
    cli: Cli, address: str
) -> None:
    """Its only way there is the network's default route, which is taken away.

    One that serves says so as well, and starts its application again although its agent waits.
    """
    assert address
    before = cli.instance_ids()
    session = connect(CloudKind.LOCAL, cli.home)
    table = next(each for each in observe(session, "dev").resources if each.ref.kind is Kind.ROUTE_TABLE)
    request = UpdateRouteTableRequest(route_table_id=table.id, update_mask=FieldMask(paths=["static_routes"]))
    session.finish(session.client(RouteTableServiceStub).Update(request), what="take the way out away")
    run_in_machine(cli.pid("dev-bingo-2"), "systemctl", "restart", "--no-block", "samovar-agent")
    warning = "dev-bingo-2: waiting for secret postgres_password"
    status = cli.status_when("dev", lambda status: warning in str(status["warnings"]))
    assert status["healthy"]
    old = main_pid(cli, "dev-bingo-2", "bingo")
    run_in_machine(cli.pid("dev-bingo-2"), "systemctl", "kill", "--signal=KILL", "bingo")
    wait_until("bingo runs again", lambda: main_pid(cli, "dev-bingo-2", "bingo") not in {old, "0"})
    cli.run("cloud", "kill", "dev-bingo-1")
    status = cli.status_when("dev", lambda status: "waiting for secret postgres_password" in str(status["groups"]))
    assert "from Lockbox at api.internal" in str(status)
    assert sql(cli, "dev-bingo-2") == [["bingo", True, "TLSv1.3"]]
    (change,) = cli.json("plan", "dev")["steps"]
    assert (change["action"], change["kind"]) == ("update", "route-table")
    cli.run("rollout", "dev", "--yes")
    assert {name for name, instance in cli.instance_ids().items() if before[name] != instance} == {"dev-bingo-1"}
    assert sql(cli, "dev-bingo-1") == [["bingo", True, "TLSv1.3"]]
    assert cli.status_when("dev", lambda status: status["warnings"] == [])["healthy"]


def test_a_server_that_ends_again_and_again_is_unhealthy_and_reports_why(cli: Cli, address: str) -> None:
    """It is asked between its starts as well as in them, and cannot read its data until that is mended."""
    assert address
    pid = cli.pid("dev-postgres-1")
    run_in_machine(pid, "chmod", "000", "/data/main")
    run_in_machine(pid, "systemctl", "kill", "--signal=KILL", "postgres")
    cli.status_when("dev", lambda status: "PostgreSQL ended (exit-code): " in str(status["groups"]))
    status = cli.status_when("dev", lambda status: machine_of(status, "dev-postgres-1")["pid"] not in {None, pid})
    mend = "until chmod 700 /data/main; do sleep 0.1; done"
    run_in_machine(machine_of(status, "dev-postgres-1")["pid"], "sh", "-c", mend)
    cli.wait_until_replaced("dev", "dev-postgres-1", pid)
    assert sql(cli, "dev-bingo-2") == [["bingo", True, "TLSv1.3"]]


LOST = "the data disk is empty, but dev-postgres had its rows already"


def lose_the_data_disk(cli: Cli) -> None:
    session = connect(CloudKind.LOCAL, cli.home)
    there = {resource.ref: resource for resource in observe(session, "dev").resources}
    for ref in (Ref(Kind.INSTANCE_GROUP, "dev-postgres"), Ref(Kind.DISK, "dev-postgres-data")):
        session.finish(HANDLERS[ref.kind].delete(session, there[ref]), what=f"delete {ref} by hand")


def roll_out_without_rows(cli: Cli) -> str:
    """Return what the rollout printed, which fails and names the lost rows."""
    rolled = cli.run("rollout", "dev", "--yes", "--timeout", "30", check=False)
    assert rolled.code != 0
    assert LOST in rolled.stderr.splitlines()[-2]
    return rolled.stderr


def test_an_empty_disk_in_the_place_of_a_seeded_one_is_never_healthy(cli: Cli, address: str) -> None:
    assert address
    assert cli.json("plan", "dev")["steps"] == []
    lose_the_data_disk(cli)
    changed = {(change["action"], change["name"]) for change in cli.json("plan", "dev")["steps"]}
    create, update = ("create", "dev-postgres"), ("update", "dev-postgres-seeded")
    assert changed == {create, update, ("create", "dev-postgres-data")}

    assert "destroy ENV --delete-data" in roll_out_without_rows(cli).splitlines()[-2]
    status = cli.status_when("dev", lambda status: LOST in str(status))
    assert [(group["name"], group["healthy"]) for group in status["groups"] if not group["healthy"]] == [
        ("postgres", False)
    ]
    assert LOST in cli.run("status", "dev").stdout
    assert LOST in cli.run("logs", "dev", "postgres-1").stdout
    assert cli.run("rollout", "dev", "--yes", "--timeout", "5", check=False).code != 0


def test_rows_written_after_a_rollout_timed_out_are_not_seeded_anew(cli: Cli) -> None:
    """The rollout gave up first, users wrote, and the disk was lost before anybody looked at the status.

    Rows that were deleted on purpose are seeded anew.
    """
    address = str(urlsplit(cli.status("dev")["endpoints"]["http"][0]).netloc)
    cli.run("destroy", "dev", "--delete-data", "--keep-address", "--confirm", "dev")
    assert cli.run("rollout", "dev", "--yes", "--timeout", "2", check=False).code == ExitCode.TIMEOUT
    end = threading.Event()
    writer = Writer(address, end)
    writer.start()
    try:
        wait_until("a write is acknowledged", lambda: writer.acknowledged, timeout=TIMEOUT)
    finally:
        end.set()
        writer.join()
    assert min(writer.acknowledged) > ROWS
    sessions = json.loads(first_answer(lambda: get(address, "/api/session", timeout=60)))
    assert sum(session["id"] <= ROWS for session in sessions) == ROWS
    lose_the_data_disk(cli)
    roll_out_without_rows(cli)
