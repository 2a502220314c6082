"""An application that nobody here knows: behind the proxy, as a worker, by a schedule; and such as never work."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.checkout import ROOT
from tests.support.http_load import HttpLoad, Kind, http_load
from tests.support.run_in_machine import run_in_machine
from tests.support.tool import TIMEOUT, Cli
from tests.support.wait import wait_until

pytestmark = [pytest.mark.long, pytest.mark.alone]

SMALL = "machine: {cores: 2, core_fraction: 50, memory: 1G, disk: 5G}"
DEV = f"""\
zones: [ru-central1-a]
network: {{cidr: 10.30.0.0/16}}
secrets: {{certificate: certificate}}
groups:
  front:
    kind: samovar/edge
    size: 1
    upstreams: {{app: web}}
    settings: {{fallback_port: 8100}}
  web:
    kind: samovar/app
    image: mortal
    size: 2
    {SMALL}
    balancer: {{type: external}}
    settings:
      port: 3000
      health: /healthz
      environment: {{MODE: serve}}
      silent: 4
      start: 5
      drain: 6
      hold: 40
      retries_after_500: 99
  jobs:
    kind: samovar/worker
    image: mortal
    size: 1
    {SMALL}
    settings: {{hold: 20, environment: {{MODE: work}}}}
  reports:
    kind: samovar/worker
    image: mortal
    size: 1
    {SMALL}
    settings: {{schedule: "*:*:0/2", failures: 9, environment: {{MODE: report}}}}
"""
BROKEN = f"""\
zones: [ru-central1-a]
network: {{cidr: 10.31.0.0/16}}
groups:
  ends:
    kind: samovar/worker
    image: mortal
    size: 1
    {SMALL}
    settings: {{hold: 20, environment: {{MODE: ends}}}}
  elsewhere:
    kind: samovar/app
    image: mortal
    size: 1
    {SMALL}
    balancer: {{type: external}}
    settings: {{port: 4000, environment: {{MODE: serve}}}}
  sick:
    kind: samovar/app
    image: mortal
    size: 1
    {SMALL}
    balancer: {{type: external}}
    settings: {{port: 3000, health: /healthz, environment: {{MODE: sick}}}}
"""
RATE = 10.0
"""Requests a second through the edge, and as many past it."""
PAGE, WRITE = Kind("/"), Kind("/wait", "%d")
USER_TIMEOUT = 120.0
"""Seconds that a user waits, on a machine that is twenty times slower than here: there `hold` is as long too."""
STATE = "/var/lib/mortal"
POST = "curl -sf -X POST http://127.0.0.1:3000"
PID = "systemctl show -P MainPID mortal"
NEXT_PAUSE = "systemctl show -P RestartUSecNext mortal"
"""How long systemd waits before it starts the application again the next time that it ends."""
FAILED = re.compile("dev-reports-1: mortal: a run failed, [2-9] in a row: it printed last: the thingamajig is missing")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A cloud with `dev` rolled out. The project is that of `init`, from a script in Python, with other groups."""
    folder = tmp_path_factory.mktemp("kinds")
    project, script = folder / "mortal", folder / "program"
    script.write_text(f"#!/usr/bin/python3\n{(ROOT / 'tests/support/mortal.py').read_text()}")
    script.chmod(0o755)
    tool = Cli(folder / "home", project / "envs", prefix=("env", f"SAMOVAR_PROJECT={project}"))
    tool.run("init", str(project), "--app", str(script), "--port", "3000", "--health", "/healthz")
    tool.write("dev", DEV)
    tool.write("broken", BROKEN)
    try:
        tool.run("up", "dev", "--yes")
        yield tool
    finally:
        tool.run("cloud", "down", check=False)


@pytest.fixture(scope="module")
def broken(cli: Cli) -> Iterator[subprocess.Popen[str]]:
    """A rollout of `broken`, which goes on beside the tests."""
    with cli.start("rollout", "broken", "--yes", "--timeout", "90") as rollout:
        yield rollout
        rollout.kill()


@pytest.fixture(scope="module")
def failing(cli: Cli) -> dict[str, str]:
    """The machines whose programs fail from now on, by their groups: a worker that was killed once before, and cron."""
    job, cron = (cli.pid(name) for name in ("dev-jobs-1", "dev-reports-1"))
    inside(job, f"p=$({PID}); kill -KILL $p; until [ $({PID}) != 0 ] && [ $({PID}) != $p ]; do sleep 0.1; done")
    inside(job, f"touch {STATE}/broken; systemctl kill -s KILL mortal")
    inside(cron, f"touch {STATE}/broken")
    ids = cli.instance_ids()
    return {group: ids[f"dev-{group}-1"] for group in ("jobs", "reports")}


def inside(pid: int, command: str) -> str:
    """Return the output of a command in the machine whose init has that pid."""
    return run_in_machine(pid, "sh", "-euc", command).strip()


def ends(pid: int, why: str) -> None:
    """Wait until the watchdog of a machine has ended the application, and another process of it answers.

    `why` is an extended regular expression. Each look is a command of its own: one that stays in a machine while that
    stops is stopped too, and tells nobody.
    """
    ended = f"journalctl -qu samovar-watchdog -o cat | grep -Eq 'mortal ends: {why}' && echo yes || echo no"
    wait_until(f"mortal ends: {why}", lambda: inside(pid, ended) == "yes", timeout=TIMEOUT)
    inside(pid, "until curl -so /dev/null http://127.0.0.1:3000/healthz; do sleep 0.2; done")


def healthy(status: Any, group: str) -> bool:
    return any(each["name"] == group and each["healthy"] for each in status["groups"])


def renewed(cli: Cli, group: str, *old: str) -> None:
    """Wait until a group is healthy without those machines."""

    def is_renewed(status: Any) -> bool:
        machines = {machine["id"] for each in status["groups"] if each["name"] == group for machine in each["machines"]}
        return healthy(status, group) and not machines & {*old}

    cli.status_when("dev", is_renewed)


@contextmanager
def users(cli: Cli, kind: Kind = PAGE, rate: float = RATE) -> Iterator[tuple[HttpLoad, HttpLoad]]:
    """Send requests through the edge, and past it to the balancer of the application."""
    through, past = (str(urlsplit(url).netloc) for url in cli.status("dev")["endpoints"]["http"])
    with (
        http_load(through, kind, rate=rate, timeout=USER_TIMEOUT) as edge,
        http_load(past, kind, rate=rate, timeout=USER_TIMEOUT) as balancer,
    ):
        time.sleep(1)
        yield edge, balancer
        time.sleep(1)


def report(what: str, *loads: HttpLoad) -> None:
    for way, load in zip(("through the edge", "past it"), loads, strict=True):
        print(load.summary(f"{what}, {way}"))  # noqa: T201


def test_a_failed_run_of_cron_shows_and_the_next_one_is_tried(cli: Cli) -> None:
    ids, machine = cli.instance_ids(), cli.pid("dev-reports-1")
    inside(machine, f"until [ $(grep -c . {STATE}/reports) -gt 2 ]; do sleep 0.2; done")
    inside(machine, f"touch {STATE}/broken")
    assert healthy(cli.status_when("dev", lambda status: bool(FAILED.search(str(status["warnings"])))), "reports")
    shown = cli.run("logs", "dev", "reports-1")
    assert "mortal: a run failed" in shown.stdout
    assert "what applications print is in the journals" in shown.stderr
    inside(machine, f"rm {STATE}/broken")
    cli.status_when("dev", lambda status: healthy(status, "reports") and not status["warnings"])
    assert cli.instance_ids() == ids


@pytest.mark.usefixtures("broken", "failing")
def test_no_get_fails_while_the_process_dies_errs_and_hangs(cli: Cli) -> None:
    first, second = (cli.pid(name) for name in ("dev-web-1", "dev-web-2"))
    with users(cli) as loads:
        for machine in (first, second):
            inside(machine, "systemctl kill -s KILL mortal")
            time.sleep(2)
        wait_until(
            "the next one is back at once too",
            lambda: {inside(machine, NEXT_PAUSE) for machine in (first, second)} == {"250ms"},
            timeout=TIMEOUT,
        )
        inside(first, f"until {POST}/sick; do sleep 0.1; done")
        ends(first, "(it answers errors|it has not answered for)")
        inside(second, f"until {POST}/hang; do sleep 0.1; done")
        ends(second, "it has not answered for")
    report("killed, sick, hung", *loads)
    assert [load.failed for load in loads] == [[], []]
    assert len(loads[1].bodies) > 4


@pytest.mark.usefixtures("broken", "failing")
def test_no_get_fails_while_a_machine_loses_its_power_stops_and_is_replaced(cli: Cli) -> None:
    """Past the edge what the machine had in flight when its power was cut is lost."""
    machines = cli.instance_ids()
    with users(cli) as (edge, balancer):
        cli.run("cloud", "kill", "dev-web-1")
        renewed(cli, "web", machines["dev-web-1"])
    report("power cut", edge, balancer)
    assert edge.failed == []
    assert len(balancer.failed) < RATE
    with users(cli) as loads:
        cli.stop("dev-web-2")
        renewed(cli, "web", machines["dev-web-2"])
    report("stopped in order", *loads)
    assert [load.failed for load in loads] == [[], []]
    cli.edit("dev", "MODE: serve", "MODE: serve, VERSION: '2'")
    with users(cli) as loads:
        cli.run("rollout", "dev", "--yes")
    report("replaced by an update", *loads)
    assert [load.failed for load in loads] == [[], []]


@pytest.mark.usefixtures("broken", "failing")
def test_what_a_machine_has_in_flight_is_answered_before_it_stops(cli: Cli) -> None:
    """A write is not repeated, and this application ends at once when it is told to."""
    machines = cli.instance_ids()
    with users(cli, WRITE, rate=1.0) as loads:
        time.sleep(2)
        cli.stop("dev-web-1")
        renewed(cli, "web", machines["dev-web-1"])
    report("stopped with writes in flight", *loads)
    assert [load.failed for load in loads] == [[], []]


def test_programs_that_fail_again_and_again_get_another_machine(cli: Cli, failing: dict[str, str]) -> None:
    for group, machine in failing.items():
        renewed(cli, group, machine)


def test_the_pause_before_a_restart_grows_with_repeated_failures(cli: Cli, broken: subprocess.Popen[str]) -> None:
    assert broken.pid
    machine = cli.pid("broken-ends-1")
    wait_until("the pause has grown", lambda: inside(machine, NEXT_PAUSE) == "5s", timeout=TIMEOUT)


def test_a_rollout_shows_the_last_output_of_an_application_that_never_works(broken: subprocess.Popen[str]) -> None:
    _, errors = broken.communicate(timeout=TIMEOUT)
    assert broken.returncode == 5
    (error,) = (line for line in errors.splitlines() if "broken to get healthy" in line)
    assert "mortal has not stayed up" in error
    assert "it printed last: the thingamajig is missing" in error
    assert "it listens at 3000, and not at 4000; it printed last: mortal serves" in error
    assert "it answers an error at /healthz; it printed last: mortal serves" in error
    start = "{}: all new machines say the same for 30 s: mortal: "
    (crash,) = (line for line in errors.splitlines() if start.format("ends") in line)
    assert crash.endswith("it printed last: the thingamajig is missing")
    (elsewhere,) = (line for line in errors.splitlines() if start.format("elsewhere") in line)
    assert "it listens at 3000, and not at 4000" in elsewhere
