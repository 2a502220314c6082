"""The images of bingo and of PostgreSQL on real machines: what they do at boot, what they refuse, what they survive."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from images.bingo.stub.identity import log_folder, port
from samovar.core.output import PlainReporter
from samovar.core.process import run
from samovar.images.builders.local import bake_local
from samovar.localcloud.machines.model import DataDisk, Machine
from tests.support.checkout import PROJECT
from tests.support.http_load import Kind, http_load
from tests.support.lan import CHECKER, MIB, SLOW, Lan, lan

EMAIL = "images@example.com"
BINGO, POSTGRES = "10.0.0.9", "10.0.0.11"
SECRET = "secrets: {postgres_password: 'it is a trial'}\n"  # pragma: allowlist secret
SEEDED = SECRET.replace("}", ", seeded: 'yes'}")
SETTINGS = f"""\
email: {EMAIL}
port: {port(EMAIL)}
logs: "{log_folder(EMAIL).name}"
environment: {{BINGO_LIFETIME: "off", BINGO_LONG_DUMMY: "0.2"}}
peers: {{postgres: 1}}
{SECRET}"""
COUNTS = "SELECT (SELECT count(*) FROM movies), (SELECT count(*) FROM customers), (SELECT count(*) FROM sessions)"
PING = "curl -sf localhost/ping"
KILLER = "curl -s -X POST localhost/operation -d '{\"operation\": 1000002}' -o /dev/null -w '%{http_code}'"


@pytest.fixture(scope="module")
def baked() -> dict[str, Path]:
    return {
        image.name: image.raw for image in bake_local(PROJECT, ["bingo", "postgres-small"], reporter=PlainReporter())
    }


@pytest.fixture
async def cable(tmp_path: Path) -> AsyncIterator[Lan]:
    async with lan(tmp_path) as made:
        yield made


async def boot_postgres(
    cable: Lan, baked: dict[str, Path], disk: DataDisk, *, name: str = "pg", settings: str = SECRET, memory: int = 1024
) -> Machine:
    image = cable.told(baked["postgres-small"], "postgres", POSTGRES, settings)
    machine = cable.machine(name, image, memory=memory * MIB, disks=(disk,))
    await cable.driver.start(machine)
    return machine


async def boot_bingo(cable: Lan, baked: dict[str, Path]) -> Machine:
    image = cable.told(baked["bingo"], "bingo", BINGO, SETTINGS)
    machine = cable.machine("bingo", image, memory=512 * MIB)
    await cable.driver.start(machine)
    return machine


def sql(cable: Lan, machine: Machine, statement: str) -> str:
    return cable.inside(machine, f'runuser -u postgres -- psql -XAtq bingo -c "{statement}"')


def health(cable: Lan, address: str, port: int = 80) -> str:
    url, asker = f"http://{address}:{port}/-/health", ("--interface", CHECKER)
    return cable.outside("curl", *asker, "--silent", "--max-time", "10", "--write-out", "%{http_code}", url)


async def test_a_blank_disk_is_seeded_and_its_rows_outlive_the_machine(cable: Lan, baked: dict[str, Path]) -> None:
    disk = cable.disk("pg")
    began = time.monotonic()
    machine = await boot_postgres(cable, baked, disk)
    await cable.until(machine, "systemctl is-active --quiet postgres")
    print(f"a blank disk: serving after {time.monotonic() - began:.1f} s")  # noqa: T201
    assert sql(cable, machine, COUNTS) == "290|5000|50000"
    assert health(cable, POSTGRES) == "ok\n200"
    stranger = cable.outside("curl", "--silent", "--include", f"http://{POSTGRES}/-/health")
    assert ("404" in stranger, "Python" in stranger, "html" in stranger) == (True, False, False)
    mark = dict(line.split("=") for line in cable.inside(machine, "cat /data/samovar-seed").splitlines())
    assert mark["owner"] == "trial"
    assert mark["image"] == cable.inside(machine, "cat /usr/share/samovar/digest")
    assert sql(cable, machine, "INSERT INTO sessions VALUES (60000, now(), 1, 1) RETURNING id") == "60000"
    await cable.driver.kill(machine.id)
    await cable.driver.remove(machine.id)
    run(["ip", "netns", "del", machine.netns])
    cable.netns.remove(machine.netns)

    began = time.monotonic()
    again = await boot_postgres(cable, baked, disk, name="pg2", settings=SEEDED)
    await cable.until(again, "systemctl is-active --quiet postgres")
    print(f"its old disk: serving after {time.monotonic() - began:.1f} s")  # noqa: T201
    assert sql(cable, again, "SELECT count(*) FROM sessions WHERE id = 60000") == "1"
    assert b"samovar: the data disk of trial is here" in cable.driver.console(again.id)


async def test_memory_follows_the_machine_and_only_its_network_gets_in(cable: Lan, baked: dict[str, Path]) -> None:
    machine = await boot_postgres(cable, baked, cable.disk("pg"), memory=768)
    await cable.until(machine, "systemctl is-active --quiet postgres")
    assert sql(cable, machine, "SHOW shared_buffers") == "192MB"
    assert sql(cable, machine, "SHOW effective_cache_size") == "384MB"
    log = int(sql(cable, machine, "SELECT setting FROM pg_settings WHERE name = 'max_wal_size'"))
    assert 200 < log <= 256
    verifier = sql(cable, machine, "SELECT passwd FROM pg_shadow WHERE usename = 'bingo'")
    assert verifier.startswith("SCRAM-SHA-256$")
    asked = f"host={POSTGRES} user=bingo dbname=bingo password='it is a trial'"  # pragma: allowlist secret - made up
    ask = f'psql -XAtq "{asked} sslmode=%s" -c "SELECT 1" 2>&1 || true'
    assert cable.inside(machine, ask % "require") == "1"
    assert "no encryption" in cable.inside(machine, ask % "disable")
    assert "password authentication failed" in cable.inside(machine, (ask % "require").replace("trial", "error"))
    local = "setpriv --reuid=nobody --clear-groups psql -X -U postgres postgres 2>&1 || true"
    assert "Peer authentication failed" in cable.inside(machine, local)
    assert "Peer authentication failed" in cable.inside(machine, "psql -X -U postgres postgres 2>&1 || true")
    listening = cable.inside(machine, "ss -Hltn | awk '{print $4}' | grep -v '127.0.0.5[34]' | sort").split()
    assert {address.rpartition(":")[2] for address in listening} == {"80", "5432"}


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (["mkfs.ext4", "-q", "-L", "family-photos"], "neither blank nor one of ours (family-photos)"),
        (
            ["sh", "-c", 'echo precious | dd of="$0" bs=1 seek=700000 conv=notrunc'],
            "neither blank nor one of ours (unknown data)",
        ),
    ],
)
async def test_what_is_not_blank_is_refused_and_left_as_it_is(
    cable: Lan, baked: dict[str, Path], prepare: list[str], message: str
) -> None:
    disk = cable.disk("pg", 64 * MIB)
    run([*prepare, disk.path])
    before = run(["sha256sum", disk.path]).stdout
    machine = await boot_postgres(cable, baked, disk)
    await cable.until(machine, "systemctl is-failed --quiet pgdata")
    assert message in health(cable, POSTGRES)
    assert health(cable, POSTGRES).endswith("503")
    assert message.encode() in cable.driver.console(machine.id)
    assert run(["sha256sum", disk.path]).stdout == before


async def test_an_empty_disk_where_there_were_rows_is_no_beginning(cable: Lan, baked: dict[str, Path]) -> None:
    machine = await boot_postgres(cable, baked, cable.disk("pg"), settings=SEEDED)
    await cable.until(machine, "systemctl is-failed --quiet pgdata")
    assert "trial had its rows already" in health(cable, POSTGRES)
    assert health(cable, POSTGRES).endswith("503")


async def test_a_disk_too_small_for_the_rows_says_so(cable: Lan, baked: dict[str, Path]) -> None:
    machine = await boot_postgres(cable, baked, cable.disk("pg", 24 * MIB))
    await cable.until(machine, "systemctl is-failed --quiet pgdata")
    assert "the rows do not fit" in health(cable, POSTGRES)


async def test_a_seeding_that_was_cut_short_is_done_anew(cable: Lan, baked: dict[str, Path]) -> None:
    disk = cable.disk("pg")
    run(["mkfs.ext4", "-q", "-L", "samovar-seeding", disk.path])
    machine = await boot_postgres(cable, baked, disk)
    await cable.until(machine, "systemctl is-active --quiet postgres")
    assert sql(cable, machine, COUNTS) == "290|5000|50000"


async def test_bingo_serves_through_its_proxy_and_a_restart_is_a_delay(cable: Lan, baked: dict[str, Path]) -> None:
    database = await boot_postgres(cable, baked, cable.disk("pg"))
    began = time.monotonic()
    machine = await boot_bingo(cable, baked)
    await cable.until(machine, PING)
    print(f"bingo: the first answer after {time.monotonic() - began:.1f} s")  # noqa: T201
    await cable.until(database, "systemctl is-active --quiet postgres")
    assert health(cable, BINGO) == health(cable, BINGO, 8080) == "ok\n200"
    for number in (80, 8080):
        movie = json.loads(cable.outside("curl", "-sf", f"http://{BINGO}:{number}/api/movie/7"))
        assert movie["id"] == 7
    assert len(json.loads(cable.outside("curl", "-sf", f"http://{BINGO}/api/session"))) == 50_000

    with http_load(BINGO, Kind("/api/customer/9"), rate=20, timeout=30, netns=cable.cable) as load:
        await asyncio.sleep(0.5)
        pid = cable.inside(machine, "systemctl show -P MainPID bingo")
        cable.inside(machine, f"kill -KILL {pid}")
        await cable.until(machine, f"[[ $(systemctl show -P MainPID bingo) != {pid} ]] && {PING}")
        await asyncio.sleep(0.5)
    print(f"bingo killed: {len(load.answers)} requests, the slowest took {load.slowest:.1f} s")  # noqa: T201
    assert load.failed == []
    assert len(load.answers) > 10

    assert cable.inside(machine, KILLER) == "502"
    await cable.until(machine, PING)
    seen = cable.inside(machine, f"grep -c '\"operation\": 1000002' {log_folder(EMAIL)}/main.log")
    assert seen == "1"


async def test_bingo_is_a_user_without_rights_and_its_log_is_rotated(cable: Lan, baked: dict[str, Path]) -> None:
    machine = await boot_bingo(cable, baked)
    await cable.until(machine, PING)
    log = log_folder(EMAIL) / "main.log"
    assert cable.inside(machine, "stat -c '%a %U:%G' /opt/bingo/config.yaml") == "640 root:bingo"
    assert cable.inside(machine, "ps -o user= -p $(systemctl show -P MainPID bingo)") == "bingo"
    as_bingo = "setpriv --reuid=bingo --regid=bingo --clear-groups bash -c %r 2>&1 || true"
    assert "denied" in cable.inside(machine, as_bingo % "echo x >>/opt/bingo/config.yaml")
    assert "denied" in cable.inside(machine, as_bingo % "echo x >>/opt/bingo/bingo")
    cable.inside(machine, f"head -c 20M /dev/zero >>{log}; systemctl start bingo-rotate")
    assert int(cable.inside(machine, f"stat -c %s {log}")) < MIB
    cable.inside(machine, PING)
    assert "/ping" in cable.inside(machine, f"tail -n 1 {log}")
    assert cable.inside(machine, f"ls {log.parent}").split() == ["main.log", "main.log.1.gz"]
    assert cable.inside(machine, "systemctl is-active bingo-rotate.timer") == "active"


async def test_bingo_starts_at_once_where_packets_vanish(cable: Lan, baked: dict[str, Path]) -> None:
    """As in a VPC without a way out: a route, and nobody at its end. With the rule there is no wait."""
    machine = await boot_bingo(cable, baked)
    await cable.until(machine, PING)
    cable.inside(machine, "ip route add default via 10.0.0.1")
    for rule, least, most in (("keep", 0, 10), ("flush", 20, 30 + 10)):
        if rule == "flush":
            cable.inside(machine, "nft flush table inet bingo")
        began = time.monotonic()
        again = f"systemctl restart bingo; until curl -sf localhost:{port(EMAIL)}/ping; do sleep 0.1; done"
        cable.inside(machine, again)
        took = time.monotonic() - began
        print(f"8.8.8.8 {rule}: {took:.1f} s")  # noqa: T201
        assert least <= took <= most * SLOW
