"""A foreign application under the edge, watched by a group that monitors: counts, journals, alerts, the page."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from samovar.core.waiting import Pending, wait_for
from tests.support.checkout import ROOT, empty_project
from tests.support.firefox import Firefox, firefox
from tests.support.http_load import Kind, get, http_load
from tests.support.run_in_machine import run_in_machine
from tests.support.tool import TIMEOUT, Cli
from tests.support.wait import wait_until

CONFIG = """\
cloud: local
zones: [ru-central1-a]
network: {cidr: 10.30.0.0/16}
secrets: {certificate: certificate, rows_password: password, pager: provided}
groups:
  door:
    kind: samovar/edge
    size: 2
    upstreams: {app: shop}
    settings:
      fallback_port: 8100
      routes: [{path: "/rows/:id"}, {path: /rows, retry: false}, {path: /}]
  shop:
    image: shop
    size: 1
    machine: {cores: 2, core_fraction: 20, memory: 1G, disk: 5G}
    settings: {port: 8080, health: /health}
    ports: [8100]
    health: {port: 8100}
    exporters: {haproxy: 8404, shop: 8080}
  rows:
    kind: samovar/postgres
    secrets: [rows_password]
    settings:
      databases: [{name: rows, owner: rows}]
      users: [{name: rows, secret: rows_password}]
  watch:
    kind: samovar/monitoring
    objectives: shop
    secrets: {webhook: pager}
    settings: {interval: 2s}
"""
PROFILE = """\
rate: 10
ranges: {row: {max: 9, probe: "/rows/{id}"}}
endpoints:
  - {request: "GET /rows/{id}", values: {id: row}, slo: {quantile: 0.9, seconds: 0.4}}
  - {request: POST /rows}
flows: [{share: 1, steps: ["GET /rows/{id}", POST /rows]}]
"""
IMAGE = """\
description: a shop
parent: samovar/app
application: {source: shop, target: /opt/shop, run: {}}
"""
WEBHOOK = "http://shop-1:8080/alerts"
SHOP = """\
#!/usr/bin/python3
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ALERTS, SICK = [], []

def close(*_):
    print(f"shop {os.getpid()} closes", flush=True)
    sys.exit()

signal.signal(signal.SIGTERM, close)

class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(500 if SICK and self.path == "/health" else 200)
        told = {"/metrics": "shop_up 1\\n", "/alerts": " ".join(ALERTS)}
        self.wfile.write(told.get(self.path, "a row\\n").encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/alerts":
            ALERTS.extend(each["labels"]["alertname"] for each in json.loads(body)["alerts"])
        if self.path == "/sick":
            SICK.append(True)
        self.answer(500 if self.path == "/rows" else 200)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

ThreadingHTTPServer(("", 8080), Shop).serve_forever()
"""
ROWS, POSTS = 30, 7
DASHBOARDS = sorted((ROOT / "docs/dashboards").glob("*.json"))


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("monitoring")
    project = empty_project(folder / "project")
    (project / "images/shop").mkdir()
    (project / "images/shop/image.yaml").write_text(IMAGE)
    (project / "images/shop/shop").write_text(SHOP)
    (project / "images/shop/shop").chmod(0o755)
    (project / "loads").mkdir()
    (project / "loads/shop.yaml").write_text(PROFILE)
    tool = Cli(folder / "home", project / "envs", prefix=("env", f"SAMOVAR_PROJECT={project}"))
    tool.write("dev", CONFIG)
    (folder / "webhook").write_text(WEBHOOK)
    try:
        tool.run("secret", "set", "dev", "pager", "--entry", f"url={folder / 'webhook'}")
        tool.run("up", "dev", "--yes")
        yield tool
    finally:
        tool.run("cloud", "down", check=False)


def post(address: str) -> int:
    with closing(HTTPConnection(address, timeout=10)) as connection:
        connection.request("POST", "/rows", b"")
        return connection.getresponse().status


def counts(cli: Cli) -> dict[tuple[str, str], tuple[int, int]]:
    """Return requests and errors by route and method."""
    endpoints = cli.json("metrics", "dev", "--since", "20m")["endpoints"]
    return {(each["route"], each["method"]): (each["requests"], each["errors"]) for each in endpoints}


def wait_for_counts(cli: Cli, expected: dict[tuple[str, str], tuple[int, int]]) -> None:
    def probe() -> bool | Pending:
        current = {key: value for key, value in counts(cli).items() if key in expected}
        return current == expected or Pending(str(current))

    wait_for(f"the counts {expected}", probe, timeout=60, interval=1)


def inside(cli: Cli, machine: str, *command: str) -> str:
    """Return the output of a command on a machine."""
    return run_in_machine(cli.pid(machine), *command)


ASK = 'for query; do curl --silent --get --data-urlencode query="$query" localhost:9090/api/v1/query; echo; done'


def answers(cli: Cli, *queries: str) -> list[list[Any]]:
    """The series of each query, asked on the machine that monitors: the tool takes a second for each."""
    lines = inside(cli, "dev-watch-1", "sh", "-c", ASK, "sh", *queries).splitlines()
    return [json.loads(line)["data"]["result"] for line in lines]


def test_each_request_is_counted_once_by_its_route_also_over_a_rotation_of_the_log(cli: Cli) -> None:
    address = cli.address("dev")
    for number in range(ROWS):
        assert get(address, f"/rows/{number}") == "a row"
    assert {post(address) for _ in range(POSTS)} == {500}
    wait_for_counts(cli, {("/rows/:id", "GET"): (ROWS, 0), ("/rows", "POST"): (POSTS, POSTS)})
    with http_load(address, Kind("/rows/1"), rate=40) as load:
        for edge in ("dev-door-1", "dev-door-2"):
            inside(cli, edge, "logrotate", "--force", "/etc/logrotate.d/nginx")
    assert load.failed == []
    wait_for_counts(cli, {("/rows/:id", "GET"): (ROWS + len(load.answers), 0), ("/rows", "POST"): (POSTS, POSTS)})
    (rows,) = [each for each in cli.json("metrics", "dev")["endpoints"] if each["route"] == "/rows/:id"]
    assert 0 < rows["p50"] <= rows["p90"] <= rows["p99"] < 10


SHOWN = (
    "samovar_certificate_not_after_timestamp_seconds - time() > 86400",
    "haproxy_process_uptime_seconds",
    'haproxy_frontend_http_requests_total{instance="shop-1",proxy="node"} > 0',
    'node_systemd_service_restart_total{name="nginx.service"}',
    'node_filesystem_avail_bytes{mountpoint="/"}',
    "pg_up == 1",
)


def test_every_exporter_is_a_target_and_shows_metrics(cli: Cli) -> None:
    def jobs(value: int) -> set[tuple[str, str]]:
        series = cli.json("metrics", "dev", "--query", f"up == {value}")
        return {(each["labels"]["job"], each["labels"]["instance"]) for each in series}

    exporters = {(job, f"door-{index}") for job in ("node", "edge", "haproxy") for index in (1, 2)}
    others = {(job, "shop-1") for job in ("node", "haproxy", "shop")} | {("node", "rows-1"), ("postgres", "rows-1")}
    own = {(job, "watch-1") for job in ("node", "prometheus", "alertmanager")}
    wait_for(
        "every target", lambda: jobs(1) == exporters | others | own or Pending(str(jobs(0))), timeout=60, interval=1
    )
    for query, series in zip(SHOWN, answers(cli, *SHOWN), strict=True):
        assert series, query
    assert answers(cli, 'ALERTS{alertname=~"MachineDown|ExporterDown|PostgresDown"}') == [[]]


SLOW = "SELECT pg_sleep(1.1)"


def test_a_slow_statement_is_in_the_journal_and_among_the_top_statements(cli: Cli) -> None:
    inside(cli, "dev-rows-1", "runuser", "-u", "postgres", "--", "psql", "--host=/run/postgresql", f"--command={SLOW}")

    def is_listed() -> bool | Pending:
        statements = cli.json("metrics", "dev", "--statements")["statements"]
        slow = [each for each in statements if each["query"] == "SELECT pg_sleep($1)"]
        return bool(slow and slow[0]["calls"] == 1 and slow[0]["mean"] > 1) or Pending(str(statements))

    wait_for("the statement", is_listed, timeout=60, interval=1)
    written = cli.run("logs", "dev", "rows", "--unit", "postgres").stdout
    assert f" ms  statement: {SLOW}" in written


def test_each_query_of_each_dashboard_has_an_answer(cli: Cli) -> None:
    panels = [panel for file in DASHBOARDS for panel in json.loads(file.read_text())["panels"]]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(queries) > len(DASHBOARDS)

    def answered() -> bool | Pending:
        empty = [query for query, series in zip(queries, answers(cli, *queries), strict=True) if not series]
        return not empty or Pending(str(empty))

    wait_for("an answer to each query", answered, timeout=60, interval=1)


def test_journals_are_shown_by_group_machine_and_unit(cli: Cli) -> None:
    def lines(*arguments: str) -> list[str]:
        return cli.run("logs", "dev", *arguments).stdout.splitlines()

    wait_for(
        "journals", lambda: any(" shop-1 shop.service: " in line for line in lines("shop")), timeout=60, interval=1
    )
    assert {line.split()[1] for line in lines("door")} == {"door-1", "door-2"}
    assert {line.split()[2] for line in lines("door-1", "--unit", "haproxy")} == {"haproxy.service:"}
    assert "samovar: " in cli.run("logs", "dev", "door-1", "--console").stdout


GRAPHS = ("Requests by endpoint", "Errors by endpoint", "p90 by endpoint", "Statements of PostgreSQL")


@contextmanager
def page(cli: Cli, folder: Path) -> Iterator[Firefox]:
    """The environment's page in a browser."""
    command = cli.command("dashboard", "dev")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tool:
        assert tool.stdout
        try:
            with firefox(folder) as browser:
                browser.resize(1440, 900)
                browser.visit(tool.stdout.readline().strip())
                yield browser
        finally:
            tool.kill()


def test_endpoints_are_drawn_on_the_page_and_an_alert_is_shown_there_and_sent_to_its_webhook(
    cli: Cli, tmp_path: Path
) -> None:
    address = cli.address("dev")

    def shown(browser: Firefox, selector: str) -> str:
        return str(browser.run(f"return [...document.querySelectorAll('{selector}')].map((e) => e.textContent).join()"))

    def sent() -> bool:
        post(address)
        return "EdgeErrors" in get(address, "/alerts")

    with page(cli, tmp_path) as browser:
        wait_until("the graphs", lambda: all(each in shown(browser, "#graphs") for each in GRAPHS), timeout=TIMEOUT)
        wait_until("the webhook", sent, timeout=TIMEOUT)
        wait_until("the alert", lambda: "EdgeErrors" in shown(browser, "#events"), timeout=TIMEOUT)
        assert {"GET /rows/:id", "POST /rows"} <= {*shown(browser, "#graphs .u-legend .u-label").split(",")}
        (tmp_path / "page.png").write_bytes(browser.screenshot())


def test_restarts_by_the_watchdog_are_counted_by_their_cause(cli: Cli) -> None:
    inside(cli, "dev-shop-1", "curl", "--silent", "--data", "", "localhost:8080/sick")

    def counted() -> bool | Pending:
        (series,) = answers(cli, "samovar_watchdog_restarts_total")
        restarts = {each["metric"]["cause"]: each["value"][1] for each in series}
        return restarts == {"errors": "1", "silence": "0", "memory": "0", "lifetime": "0"} or Pending(str(restarts))

    wait_for("the restart", counted, timeout=60, interval=1)


def test_the_journal_of_a_machine_that_is_stopped_holds_its_last_lines(cli: Cli) -> None:
    old = cli.pid("dev-shop-1")
    pid = inside(cli, "dev-shop-1", "systemctl", "show", "--property=MainPID", "--value", "shop").strip()
    cli.stop("dev-shop-1")

    def shown() -> bool | Pending:
        lines = cli.run("logs", "dev", "shop").stdout
        return f"shop {pid} closes" in lines or Pending(lines[-500:])

    wait_for("its last line", shown, timeout=60, interval=1)
    cli.wait_until_replaced("dev", "dev-shop-1", old)


def test_users_see_nothing_of_the_death_of_the_machine_that_monitors_and_its_metrics_survive(cli: Cli) -> None:
    address, before = cli.address("dev"), counts(cli)[("/rows/:id", "GET")][0]
    old = cli.pid("dev-watch-1")
    with http_load(address, Kind("/rows/1"), rate=40) as load:
        cli.run("cloud", "kill", "dev-watch-1")
        cli.wait_until_replaced("dev", "dev-watch-1", old)
    assert load.failed == []
    wait_for_counts(cli, {("/rows/:id", "GET"): (before + len(load.answers), 0)})
