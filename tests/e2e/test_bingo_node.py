"""A bingo machine by itself, on a real machine: its faults under load, its watchdog and its health pages."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from images.bingo.stub.identity import log_folder, port
from samovar.core.constants import MIB
from samovar.core.output import PlainReporter
from samovar.core.waiting import Pending, wait_for_async
from samovar.images.builders.local import bake_local
from samovar.localcloud.machines.model import Machine
from tests.support.checkout import PROJECT
from tests.support.failure_logs import collect
from tests.support.http_load import HttpLoad, Kind, http_load
from tests.support.machine_lab import CHECKER, SLOW, BridgedLab, bridged_lab

pytestmark = pytest.mark.alone

EMAIL = "node@example.com"
BINGO = "10.0.0.9"
PORT = port(EMAIL)
LOG = log_folder(EMAIL) / "main.log"
SETTINGS = f"""\
email: {EMAIL}
port: {PORT}
logs: "{LOG.parent.name}"
environment: {{BINGO_LIFETIME: "off", BINGO_FAULTS: exit}}
hold: 40
retries_after_500: 160
gone: 10
secrets: {{postgres_password: none}}
"""
READ, WRITE = Kind("/ping"), Kind("/operation", '{"operation": %d}')
STABLE = (READ, READ, READ, WRITE)
RATE = 60.0
FAULTS = {"exits in silence": 1_000_001, "says that all die": 1_000_002, "is bad": 1_000_003, "grows": 1_000_004}
TWICE = 2
"""So HAProxy counts an answer that did not come."""
PID = "systemctl show -P MainPID bingo"
PING = f"curl -sf localhost:{PORT}/ping"

BREAKING = Path(__file__).parents[1] / "support/breaking_bingo.py"


@pytest.fixture(scope="module")
def image() -> Path:
    (baked,) = bake_local(PROJECT, ["bingo"], reporter=PlainReporter())
    return baked.raw


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[BridgedLab]:
    async with bridged_lab(tmp_path) as lab:
        yield lab


async def boot(lab: BridgedLab, image: Path, settings: str = SETTINGS) -> Machine:
    machine = lab.machine(
        "bingo", lab.with_role(image, "bingo", BINGO, settings), memory=512 * MIB, cores=2, hostname="bingo"
    )
    await lab.driver.start(machine)
    return machine


def health(lab: BridgedLab, path: str = "/-/health", *options: str) -> str:
    """Return the answer in one line with its status."""
    curl = ("--interface", CHECKER, "--silent", "--max-time", "10", "--write-out", "%{http_code}")
    return " ".join(lab.from_bridge("curl", *curl, *options, f"http://{BINGO}{path}").split())


async def health_is(lab: BridgedLab, path: str, status: int) -> str:
    """Wait for the status; returns the answer."""

    def asked() -> str | Pending:
        answer = health(lab, path)
        return answer if answer.endswith(f" {status}") else Pending(answer)

    return await wait_for_async(f"status {status} of {path}", asked, timeout=20 * SLOW, ceiling=0.1)


def counter(lab: BridgedLab, machine: Machine, backend: str, name: str) -> int:
    """Return one of HAProxy's counters of a backend."""
    ask = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/stats.sock')"
    shown = lab.inside(machine, f"python3 -c \"{ask}; s.send(b'show stat json\\n'); print(s.makefile().read())\"")
    for lines in json.loads(shown):
        values = {line["field"]["name"]: line["value"]["value"] for line in lines}
        if (values["pxname"], values["svname"]) == (backend, "BACKEND"):
            return int(values[name])
    raise AssertionError(backend)


async def under_load(lab: BridgedLab, machine: Machine, provoke: str, *, what: str) -> HttpLoad:
    """Send 60 requests a second while it happens and until another bingo answers."""
    with http_load(BINGO, *STABLE, rate=RATE, timeout=60, netns=lab.bridge) as load:
        await asyncio.sleep(1)
        pid = lab.inside(machine, PID)
        began = time.monotonic()
        lab.inside(machine, provoke)
        await lab.wait_for_command(machine, f"[[ $({PID}) != {pid} ]] && {PING}")
        took = time.monotonic() - began
        await asyncio.sleep(1)
    print(f"{load.summary(what)}; another bingo answers after {took:.1f} s")  # noqa: T201
    return load


@pytest.mark.parametrize("what", ["is killed", *FAULTS])
async def test_a_failure_costs_only_writes_in_flight(lab: BridgedLab, image: Path, what: str) -> None:
    """A write that bingo answers with 500 fails: those of half a second, until the watchdog holds them."""
    machine = await boot(lab, image)
    await lab.wait_for_command(machine, PING)
    inject = f"curl -s localhost:{PORT}/operation -d '{{\"operation\": {FAULTS.get(what)}}}' || true"
    load = await under_load(lab, machine, inject if what in FAULTS else f"kill -KILL $({PID})", what=f"bingo {what}")
    assert len(load.of(READ)) > RATE
    assert not load.failures(READ)
    assert load.failures(WRITE).keys() <= {"500", "502"}
    most = 2 * SLOW * RATE / 4 if what == "is bad" else 4
    assert load.failures(WRITE).total() <= most
    logged = Counter(re.findall(r'"msg": "operation", "operation": (\d{1,6})}', lab.inside(machine, f"cat {LOG}")))
    assert set(logged.values()) == {1}
    assert {str(answer.number) for answer in load.of(WRITE) if answer.status == 200} <= logged.keys()


async def test_a_write_that_ends_bingo_is_not_repeated(lab: BridgedLab, image: Path) -> None:
    machine = await boot(lab, image)
    await lab.wait_for_command(machine, PING)
    write = f"curl -s http://{BINGO}/operation -d '{{\"operation\": 1000002}}' -o /dev/null -w '%{{http_code}}'"
    assert lab.inside(machine, write) == "502"
    await lab.wait_for_command(machine, PING)
    assert lab.inside(machine, f'grep -c \'"msg": "operation", "operation": 1000002\' {LOG}') == "1"
    assert counter(lab, machine, "operations", "eresp") == TWICE
    assert counter(lab, machine, "operations", "wretr") == 0


async def test_a_broken_list_and_a_write_are_not_repeated(lab: BridgedLab, image: Path) -> None:
    machine = await boot(lab, image)
    await lab.wait_for_command(machine, PING)
    program = BREAKING.read_text().replace("PORT = 0", f"PORT = {PORT}").replace('LOG = ""', f'LOG = "{LOG}"')
    lab.inside(machine, f"cat >/opt/bingo/bingo <<'END'\n{program}END\n: >{LOG}; systemctl kill -s KILL bingo")
    await lab.wait_for_command(machine, f"curl -sf http://{BINGO}/ping && ! test -s {LOG}")
    half = f"curl -s http://{BINGO}/api/movie -o /dev/null || echo $?"
    assert lab.inside(machine, half) == "18"  # less than was promised
    assert counter(lab, machine, "lists", "srv_abrt") == 1
    write = f"curl -s -X %s http://{BINGO}/api/session%s -o /dev/null -w '%%{{http_code}}'"
    assert lab.inside(machine, write % ("POST", "")) == "502"
    assert lab.inside(machine, f"curl -sf http://{BINGO}/ping; cat {LOG}") == "/api/session"
    assert counter(lab, machine, "writes", "eresp") == TWICE
    assert counter(lab, machine, "pages", "eresp") == 0


async def test_a_bingo_that_hangs_is_restarted(lab: BridgedLab, image: Path, tmp_path: Path) -> None:
    """Its journal and its console are evidence, should a test fail."""
    machine = await boot(lab, image)
    await lab.wait_for_command(machine, PING)
    pid = lab.inside(machine, PID)
    lab.inside(machine, f"kill -STOP {pid}")
    await lab.wait_for_command(machine, f"[[ $({PID}) != {pid} ]] && {PING}")
    assert b"bingo ends: it has not answered for " in lab.driver.console(machine.id)
    collect(tmp_path.parent, tmp_path / "evidence")
    kept = tmp_path / "evidence" / tmp_path.name / machine.id
    assert all("bingo ends: it has not answered" in (kept / name).read_text() for name in ("console", "journal"))


async def test_a_renewed_run_of_bingo_fails_no_request(lab: BridgedLab, image: Path) -> None:
    machine = await boot(lab, image, f"{SETTINGS}lifetime: [2, 4]\n")
    await lab.wait_for_command(machine, PING)
    load = await under_load(lab, machine, "true", what="bingo's time comes")
    assert not load.failures(READ)
    assert not load.failures(WRITE)
    assert b"bingo ends: it ran long enough" in lab.driver.console(machine.id)


async def test_ready_fails_before_health(lab: BridgedLab, image: Path) -> None:
    machine = await boot(lab, image, SETTINGS.replace("hold: 40", "hold: 4"))
    await lab.wait_for_command(machine, PING)
    assert await health_is(lab, "/-/ready", 200)
    assert health(lab) == "ok 200"
    edge, passed_on = ("--interface", "10.0.0.1"), ("--header", "X-Forwarded-For: 203.0.113.7")
    assert health(lab, "/-/ready", *edge) == "ok 200"
    assert health(lab, "/-/ready", *edge, *passed_on) == "not found 404"
    assert [health(lab, path) for path in ("/-/", "/-/health/", "/-/x")] == ["not found 404"] * 3
    assert health(lab, "/-/health", "--data", "x") == "GET 405"
    lab.inside(machine, "systemctl stop bingo")
    answer = await health_is(lab, "/-/ready", 503)
    print(f"bingo stopped: {answer}")  # noqa: T201
    assert answer.startswith("bingo has not answered for")
    assert health(lab) == "ok 200"
    answer = await health_is(lab, "/-/health", 503)
    assert answer.startswith("bingo has not answered for 1")
    assert b"for the group this machine is dead: bingo has not answered for 1" in lab.driver.console(machine.id)
    lab.inside(machine, "systemctl start bingo")
    for path in ("/-/ready", "/-/health"):
        assert await health_is(lab, path, 200) == "ok 200"


async def test_health_fails_without_the_watchdog(lab: BridgedLab, image: Path) -> None:
    machine = await boot(lab, image)
    await lab.wait_for_command(machine, PING)
    lab.inside(machine, "systemctl kill -s KILL samovar-watchdog")
    assert await health_is(lab, "/-/ready", 200)
    lab.inside(machine, "systemctl stop samovar-watchdog")
    assert health(lab).endswith(" 503")


async def test_a_full_disk_removes_logs_and_then_fails_health(lab: BridgedLab, image: Path) -> None:
    machine = await boot(lab, image)
    await lab.wait_for_command(machine, PING)
    pid = lab.inside(machine, PID)
    most = "$(($(df --output=avail -B1M / | tail -n 1) - 100))M"
    for name in ("main.log.4.gz", "main.log"):
        lab.inside(machine, f"fallocate --length {most} {LOG.parent}/{name}")
        await lab.wait_for_command(machine, f"(( $(df --output=pcent / | tail -n 1 | tr -dc 0-9) < 50 )) && {PING}")
        assert await health_is(lab, "/-/health", 200) == "ok 200"
    assert b"the disk fills: removed main.log.4.gz" in lab.driver.console(machine.id)
    lab.inside(machine, f"fallocate --length {most} /root/full")
    answer = await health_is(lab, "/-/health", 503)
    assert answer.startswith("the disk is full: ")
    assert b"this machine is dead: the disk is full" in lab.driver.console(machine.id)
    assert lab.inside(machine, f"{PING} >/dev/null; {PID}") == pid
    lab.inside(machine, "rm /root/full")
    assert await health_is(lab, "/-/health", 200) == "ok 200"
