"""The images of bingo and of PostgreSQL on real machines: what they do at boot, what they refuse, what they survive."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from images.bingo.stub.identity import log_folder, port
from samovar.core.constants import GIB, MIB
from samovar.core.output import PlainReporter
from samovar.core.process import run
from samovar.images.builders.local import bake_local
from samovar.localcloud.machines.model import DataDisk, Machine
from tests.support.checkout import PROJECT, ROOT
from tests.support.http_load import Kind, http_load
from tests.support.machine_lab import CHECKER, SLOW, BridgedLab, bridged_lab

EMAIL = "images@example.com"
BINGO, POSTGRES = "10.0.0.9", "10.0.0.11"
SECRET = "secrets: {postgres_password: 'it is a trial'}\n"  # pragma: allowlist secret
DATABASE = yaml.safe_dump(yaml.safe_load((ROOT / "groups/postgres.yaml").read_text())["settings"])
BLANK, SEEDED = DATABASE + SECRET, DATABASE + SECRET.replace("}", ", seeded: 'yes'}")
SETTINGS = f"""\
email: {EMAIL}
port: {port(EMAIL)}
logs: "{log_folder(EMAIL).name}"
environment: {{BINGO_LIFETIME: "off", BINGO_LONG_DUMMY: "0.2"}}
upstreams: {{database: {{group: postgres, machines: 1}}}}
{SECRET}"""
SHOP = """\
databases: [{name: shop, owner: shop, extensions: [pg_trgm]}]
users: [{name: shop, secret: word}]
parameters: {work_mem: 16MB}
secrets: {word: first}
"""
CHANGED = """\
databases: [{name: shop, owner: shop}, {name: rows, owner: keeper}]
users: [{name: shop, secret: word}, {name: keeper, secret: other}]
parameters: {work_mem: 32MB, max_connections: 50, default_transaction_read_only: true, log_transaction_sample_rate: 1}
secrets: {word: second, other: "it's another"}
"""
WRONG = {
    SHOP.replace("16MB", "lots"): 'invalid value for parameter "work_mem": "lots"',
    SHOP.replace("work_mem", "work_memm"): 'unrecognized configuration parameter "work_memm"',
    SHOP.replace("pg_trgm", "postgis"): "this image has no extension postgis",
}
WITH_SEED = """\
mkdir usr/share/samovar/seed
write {folder}/10-tables.sql usr/share/samovar/seed/10-tables.sql
write {folder}/20-rows.sh usr/share/samovar/seed/20-rows.sh
"""
CLUSTER_OF_15 = """\
mkdir -p "$0.files/main"
echo owner=trial >"$0.files/samovar-seed"
echo 15 >"$0.files/main/PG_VERSION"
exec mkfs.ext4 -q -L samovar-pgdata -d "$0.files" "$0"
"""
SOCKET = Path("/run/postgresql/.s.PGSQL.5432")
OTHER_OWNER = ["unshare", "--mount", "sh", "-euc", 'mount -o loop "$0" /mnt; chown --recursive 4242:4242 /mnt/main']
"""Gives the cluster of a data disk to a number that no user of the image has."""
RUNS = "systemctl is-active --quiet postgres"
COUNTS = "SELECT (SELECT count(*) FROM movies), (SELECT count(*) FROM customers), (SELECT count(*) FROM sessions)"
PING = "curl -sf localhost/ping"
KILLER = "curl -s -X POST localhost/operation -d '{\"operation\": 1000002}' -o /dev/null -w '%{http_code}'"


@pytest.fixture(scope="module")
def baked() -> dict[str, Path]:
    return {
        image.name: image.raw
        for image in bake_local(PROJECT, ["bingo", "postgres-small", "samovar-postgres"], reporter=PlainReporter())
    }


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[BridgedLab]:
    async with bridged_lab(tmp_path) as lab:
        yield lab


async def boot_postgres(
    lab: BridgedLab,
    baked: dict[str, Path],
    disk: DataDisk,
    *,
    name: str = "pg",
    settings: str = BLANK,
    memory: int = 1024,
) -> Machine:
    image = lab.with_role(baked["postgres-small"], "postgres-small", POSTGRES, settings)
    machine = lab.machine(name, image, memory=memory * MIB, cores=2, hostname=name, disks=(disk,))
    await lab.driver.start(machine)
    return machine


async def serve_postgres(lab: BridgedLab, baked: dict[str, Path], disk: DataDisk, **options: Any) -> Machine:
    """Boot a machine as `boot_postgres` does, and wait until its server runs."""
    machine = await boot_postgres(lab, baked, disk, **options)
    await lab.wait_for_command(machine, RUNS)
    return machine


async def boot_bingo(lab: BridgedLab, baked: dict[str, Path]) -> Machine:
    image = lab.with_role(baked["bingo"], "bingo", BINGO, SETTINGS)
    machine = lab.machine("bingo", image, memory=512 * MIB, cores=2, hostname="bingo")
    await lab.driver.start(machine)
    return machine


def with_seed(image: Path, rows: str) -> Path:
    """Put a seed into an image: a table, and what a script does with it."""
    folder = image.parent
    (folder / "10-tables.sql").write_text("CREATE TABLE kept (number int); SET ROLE NONE; CREATE SCHEMA ours;\n")
    (folder / "20-rows.sh").write_text(rows)
    (folder / "seed").write_text(WITH_SEED.format(folder=folder))
    run(["debugfs", "-w", "-f", folder / "seed", image])
    return image


def sql(lab: BridgedLab, machine: Machine, statement: str, database: str = "bingo") -> str:
    return lab.inside(machine, f'runuser -u postgres -- psql -XAtq {database} -c "{statement}"')


def configure(lab: BridgedLab, machine: Machine, settings: str) -> str:
    """Let the machine's agent take other settings, and return what it says."""
    restart = "systemctl reset-failed samovar-agent; systemctl restart samovar-agent || true"
    command = f"cat >/etc/samovar-trial <<'END'\n{settings}END\n{restart}"
    return lab.inside(machine, f"{command}\njournalctl --no-pager --boot --unit samovar-agent --lines 5")


def login(lab: BridgedLab, machine: Machine, user: str, password: str) -> str:
    """Ask who one is, over the network; or the error."""
    asked = f"host={POSTGRES} user={user} dbname=shop sslmode=require"
    return lab.inside(machine, f'PGPASSWORD="{password}" psql -XAtq "{asked}" -c "SELECT current_user" 2>&1 || true')


def health(lab: BridgedLab, address: str, port: int = 80) -> str:
    url, asker = f"http://{address}:{port}/-/health", ("--interface", CHECKER)
    return lab.from_bridge("curl", *asker, "--silent", "--max-time", "10", "--write-out", "%{http_code}", url)


async def test_a_blank_disk_is_seeded_keeps_its_rows_and_grows(lab: BridgedLab, baked: dict[str, Path]) -> None:
    disk = lab.data_disk("pg-data", 2 * GIB, "data")
    began = time.monotonic()
    machine = await serve_postgres(lab, baked, disk)
    print(f"a blank disk: serving after {time.monotonic() - began:.1f} s")  # noqa: T201
    assert sql(lab, machine, COUNTS) == "290|5000|50000"
    assert lab.inside(machine, "systemctl is-active health.service") == "active", "before the first check"
    assert health(lab, POSTGRES) == "ok\n200"
    stranger = lab.from_bridge("curl", "--silent", "--include", f"http://{POSTGRES}/-/health")
    assert ("404" in stranger, "Python" in stranger, "html" in stranger) == (True, False, False)
    mark = dict(line.split("=") for line in lab.inside(machine, "cat /data/samovar-seed").splitlines())
    assert mark["owner"] == "trial"
    assert mark["image"] == lab.inside(machine, "cat /usr/share/samovar/digest")
    assert sql(lab, machine, "INSERT INTO sessions VALUES (60000, now(), 1, 1) RETURNING id") == "60000"
    await lab.driver.kill(machine.id)
    await lab.driver.remove(machine.id)
    run(["ip", "netns", "del", machine.netns])
    lab.netns.remove(machine.netns)

    os.truncate(disk.path, 3 * GIB)
    began = time.monotonic()
    again = await serve_postgres(lab, baked, disk, name="pg2", settings=SEEDED)
    print(f"its old disk: serving after {time.monotonic() - began:.1f} s")  # noqa: T201
    assert sql(lab, again, "SELECT count(*) FROM sessions WHERE id = 60000") == "1"
    assert b"samovar: the data disk of trial is here" in lab.driver.console(again.id)
    assert int(lab.inside(again, "df --output=size --block-size=1M /data | tail -n 1")) > 2500


async def test_rows_of_an_image_whose_users_had_other_numbers_are_served(
    lab: BridgedLab, baked: dict[str, Path]
) -> None:
    disk = lab.data_disk("pg-data", 2 * GIB, "data")
    machine = await serve_postgres(lab, baked, disk)
    await lab.driver.remove(machine.id)
    run([*OTHER_OWNER, disk.path])
    again = await serve_postgres(lab, baked, disk, name="pg2", settings=SEEDED)
    assert sql(lab, again, COUNTS) == "290|5000|50000"


async def test_nothing_is_written_to_a_damaged_file_system_which_the_next_boot_mends(
    lab: BridgedLab, baked: dict[str, Path]
) -> None:
    disk = lab.data_disk("pg-data", 2 * GIB, "data")
    machine = await serve_postgres(lab, baked, disk)
    device = lab.inside(machine, "lsblk --noheadings --output KNAME $(findmnt --noheadings --output SOURCE /data)")
    run(["dd", f"of=/sys/fs/ext4/{device}/trigger_fs_error"], stdin="trial")
    reason = "the file system of the data disk is damaged and read-only"
    assert (reason in health(lab, POSTGRES), health(lab, POSTGRES)[-3:]) == (True, "503")
    await lab.driver.kill(machine.id)
    await lab.driver.remove(machine.id)
    again = await serve_postgres(lab, baked, disk, name="pg2", settings=SEEDED)
    assert sql(lab, again, COUNTS) == "290|5000|50000"
    assert "with errors" not in run(["dumpe2fs", "-h", disk.path]).stdout


async def test_memory_follows_the_machine_and_only_its_network_gets_in(lab: BridgedLab, baked: dict[str, Path]) -> None:
    machine = await serve_postgres(lab, baked, lab.data_disk("pg-data", 2 * GIB, "data"), memory=768)
    assert sql(lab, machine, "SHOW shared_buffers") == "192MB"
    assert sql(lab, machine, "SHOW effective_cache_size") == "384MB"
    log = int(sql(lab, machine, "SELECT setting FROM pg_settings WHERE name = 'max_wal_size'"))
    assert 200 < log <= 256
    lab.inside(machine, "echo 300 >/proc/$(systemctl show -P MainPID postgres)/oom_score_adj")
    score = sql(lab, machine, "SELECT pg_read_file('/proc/self/oom_score_adj')")
    assert score == "0", "the kernel spares the server, and no backend more than others"
    assert lab.inside(machine, "cat /proc/sys/net/ipv4/tcp_retries2") == "6"
    verifier = sql(lab, machine, "SELECT passwd FROM pg_shadow WHERE usename = 'bingo'")
    assert verifier.startswith("SCRAM-SHA-256$")
    asked = f"host={POSTGRES} user=bingo dbname=bingo password='it is a trial'"  # pragma: allowlist secret - made up
    ask = f'psql -XAtq "{asked} sslmode=%s" -c "SELECT 1" 2>&1 || true'
    assert lab.inside(machine, ask % "require") == "1"
    assert "no encryption" in lab.inside(machine, ask % "disable")
    assert "password authentication failed" in lab.inside(machine, (ask % "require").replace("trial", "error"))
    local = "setpriv --reuid=nobody --clear-groups psql -X -U postgres postgres 2>&1 || true"
    assert "Peer authentication failed" in lab.inside(machine, local)
    assert "Peer authentication failed" in lab.inside(machine, "psql -X -U postgres postgres 2>&1 || true")
    listening = lab.inside(machine, "ss -Hltn | awk '{print $4}' | grep -v '127.0.0.5[34]' | sort").split()
    assert {address.rpartition(":")[2] for address in listening} == {"80", "5432"}


async def test_a_seed_fills_a_blank_disk_and_the_running_server_takes_a_change(
    lab: BridgedLab, baked: dict[str, Path]
) -> None:
    image = lab.with_role(baked["samovar-postgres"], "samovar-postgres", POSTGRES, SHOP)
    with_seed(image, 'psql -c "INSERT INTO kept VALUES (7)"')
    disk = lab.data_disk("pg-data", 2 * GIB, "data")
    machine = lab.machine("pg", image, memory=1024 * MIB, cores=2, hostname="pg", disks=(disk,))
    began = time.monotonic()
    await lab.driver.start(machine)
    await lab.wait_for_command(machine, RUNS)
    print(f"an empty cluster, filled: serving after {time.monotonic() - began:.1f} s")  # noqa: T201
    owned = "SELECT number, tableowner FROM kept, pg_tables WHERE tablename = 'kept'"
    assert sql(lab, machine, owned, "shop") == "7|shop"
    assert sql(lab, machine, "SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'", "shop") == "1"
    assert login(lab, machine, "shop", "first") == "shop"

    pid = lab.inside(machine, "systemctl show -P MainPID postgres")
    configure(lab, machine, CHANGED)
    lab.inside(
        machine, f"mv {SOCKET} /run; systemctl reload --no-block postgres; sleep 1; mv /run/{SOCKET.name} {SOCKET}"
    )
    restarted = f"{RUNS} && [[ $(systemctl show -P MainPID postgres) != {pid} ]]"
    await lab.wait_for_command(machine, restarted)
    assert sql(lab, machine, "SHOW work_mem", "rows") == "32MB"
    assert sql(lab, machine, "SHOW max_connections", "rows") == "50"
    assert sql(lab, machine, owned, "shop") == "7|shop"
    assert "password authentication failed" in login(lab, machine, "shop", "first")
    assert (login(lab, machine, "shop", "second"), login(lab, machine, "keeper", "it's another")) == ("shop", "keeper")
    assert "another" not in lab.inside(machine, "journalctl --no-pager")

    for settings, message in WRONG.items():
        assert message in configure(lab, machine, settings)
        assert "32MB" in lab.inside(machine, "cat /etc/samovar/postgres/parameters.conf")

    configure(lab, machine, SHOP)
    lab.inside(machine, "systemctl reload postgres")
    await lab.wait_for_command(machine, RUNS)
    assert "is not permitted to log in" in login(lab, machine, "keeper", "it's another")
    assert sql(lab, machine, "SELECT count(*) FROM pg_database WHERE datname = 'rows'", "shop") == "1"


async def test_a_failed_seed_is_named_and_leaves_the_disk_unseeded(lab: BridgedLab, baked: dict[str, Path]) -> None:
    image = lab.with_role(baked["samovar-postgres"], "samovar-postgres", POSTGRES, SHOP)
    with_seed(image, 'psql -c "INSERT INTO lost VALUES (7)"')
    disk = lab.data_disk("pg-data", 2 * GIB, "data")
    machine = lab.machine("pg", image, memory=1024 * MIB, cores=2, hostname="pg", disks=(disk,))
    await lab.driver.start(machine)
    await lab.wait_for_command(machine, "systemctl is-failed --quiet pgdata")
    assert "the seed 20-rows.sh failed: " in health(lab, POSTGRES)
    assert run(["blkid", "--probe", "--match-tag", "LABEL", "--output", "value", disk.path]).stdout.strip() == (
        "samovar-seeding"
    )


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (["mkfs.ext4", "-q", "-L", "family-photos"], "neither blank nor one of ours (family-photos)"),
        (
            ["sh", "-c", 'echo precious | dd of="$0" bs=1 seek=700000 conv=notrunc'],
            "neither blank nor one of ours (unknown data)",
        ),
        (
            ["sh", "-euc", CLUSTER_OF_15],
            "a cluster of PostgreSQL 15, and this image has 17: give the group an image",
        ),
    ],
)
async def test_a_data_disk_that_is_not_blank_is_refused_and_unchanged(
    lab: BridgedLab, baked: dict[str, Path], prepare: list[str], message: str
) -> None:
    disk = lab.data_disk("pg-data", 64 * MIB, "data")
    run([*prepare, disk.path])
    before = run(["sha256sum", disk.path]).stdout
    machine = await boot_postgres(lab, baked, disk)
    await lab.wait_for_command(machine, "systemctl is-failed --quiet pgdata")
    assert message in health(lab, POSTGRES)
    assert health(lab, POSTGRES).endswith("503")
    assert message.encode() in lab.driver.console(machine.id)
    assert run(["sha256sum", disk.path]).stdout == before


async def test_a_blank_data_disk_is_not_seeded_where_rows_are_recorded(lab: BridgedLab, baked: dict[str, Path]) -> None:
    machine = await boot_postgres(lab, baked, lab.data_disk("pg-data", 2 * GIB, "data"), settings=SEEDED)
    await lab.wait_for_command(machine, "systemctl is-failed --quiet pgdata")
    assert "trial had its rows already" in health(lab, POSTGRES)
    assert health(lab, POSTGRES).endswith("503")


async def test_a_data_disk_too_small_for_the_seed_is_named(lab: BridgedLab, baked: dict[str, Path]) -> None:
    machine = await boot_postgres(lab, baked, lab.data_disk("pg-data", 24 * MIB, "data"))
    await lab.wait_for_command(machine, "systemctl is-failed --quiet pgdata")
    assert "the rows do not fit" in health(lab, POSTGRES)


async def test_a_seeding_that_was_cut_short_is_done_anew(lab: BridgedLab, baked: dict[str, Path]) -> None:
    disk = lab.data_disk("pg-data", 2 * GIB, "data")
    run(["mkfs.ext4", "-q", "-L", "samovar-seeding", disk.path])
    machine = await serve_postgres(lab, baked, disk)
    assert sql(lab, machine, COUNTS) == "290|5000|50000"


async def test_bingo_serves_through_its_proxy_and_a_restart_is_a_delay(lab: BridgedLab, baked: dict[str, Path]) -> None:
    database = await boot_postgres(lab, baked, lab.data_disk("pg-data", 2 * GIB, "data"))
    began = time.monotonic()
    machine = await boot_bingo(lab, baked)
    await lab.wait_for_command(machine, PING)
    print(f"bingo: the first answer after {time.monotonic() - began:.1f} s")  # noqa: T201
    await lab.wait_for_command(database, RUNS)
    assert health(lab, BINGO) == health(lab, BINGO, 8080) == "ok\n200"
    for number in (80, 8080):
        movie = json.loads(lab.from_bridge("curl", "-sf", f"http://{BINGO}:{number}/api/movie/7"))
        assert movie["id"] == 7
    assert len(json.loads(lab.from_bridge("curl", "-sf", f"http://{BINGO}/api/session"))) == 50_000

    with http_load(BINGO, Kind("/api/customer/9"), rate=20, timeout=30, netns=lab.bridge) as load:
        await asyncio.sleep(0.5)
        pid = lab.inside(machine, "systemctl show -P MainPID bingo")
        lab.inside(machine, f"kill -KILL {pid}")
        await lab.wait_for_command(machine, f"[[ $(systemctl show -P MainPID bingo) != {pid} ]] && {PING}")
        await asyncio.sleep(0.5)
    print(f"bingo killed: {len(load.answers)} requests, the slowest took {load.slowest:.1f} s")  # noqa: T201
    assert load.failed == []
    assert len(load.answers) > 10

    assert lab.inside(machine, KILLER) == "502"
    await lab.wait_for_command(machine, PING)
    count = lab.inside(machine, f"grep -c '\"operation\": 1000002' {log_folder(EMAIL)}/main.log")
    assert count == "1"


async def test_bingo_is_a_user_without_rights_and_its_log_is_rotated(lab: BridgedLab, baked: dict[str, Path]) -> None:
    machine = await boot_bingo(lab, baked)
    await lab.wait_for_command(machine, PING)
    log = log_folder(EMAIL) / "main.log"
    assert lab.inside(machine, "stat -c '%a %U:%G' /opt/bingo/config.yaml") == "640 root:bingo"
    assert lab.inside(machine, "ps -o user= -p $(systemctl show -P MainPID bingo)") == "bingo"
    as_bingo = "setpriv --reuid=bingo --regid=bingo --clear-groups bash -c %r 2>&1 || true"
    assert "denied" in lab.inside(machine, as_bingo % "echo x >>/opt/bingo/config.yaml")
    assert "denied" in lab.inside(machine, as_bingo % "echo x >>/opt/bingo/bingo")
    lab.inside(
        machine, f"systemctl start samovar-rotate; head -c 20M /dev/zero >>{log}; systemctl start samovar-rotate"
    )
    assert int(lab.inside(machine, f"stat -c %s {log}")) < MIB
    lab.inside(machine, PING)
    assert "/ping" in lab.inside(machine, f"tail -n 1 {log}")
    assert lab.inside(machine, f"ls {log.parent}").split() == ["main.log", "main.log.1.gz"]
    assert lab.inside(machine, "systemctl is-active samovar-rotate.timer") == "active"


async def test_bingo_starts_at_once_where_packets_vanish(lab: BridgedLab, baked: dict[str, Path]) -> None:
    """A VPC without a way out is so: there is a route, and nobody at its end. The rule spares the wait."""
    machine = await boot_bingo(lab, baked)
    await lab.wait_for_command(machine, PING)
    lab.inside(machine, "ip route add default via 10.0.0.1")
    for rule, least, most in (("keep", 0, 10), ("flush", 20, 30 + 10)):
        if rule == "flush":
            lab.inside(machine, "nft flush table inet bingo")
        began = time.monotonic()
        again = f"systemctl restart bingo; until curl -sf localhost:{port(EMAIL)}/ping; do sleep 0.1; done"
        lab.inside(machine, again)
        took = time.monotonic() - began
        print(f"8.8.8.8 {rule}: {took:.1f} s")  # noqa: T201
        assert least <= took <= most * SLOW
