"""A foreign application under the edge, watched by a group that monitors: exact counts, journals, its own death."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from samovar.core.waiting import Pending, wait_for
from tests.support.checkout import ROOT, empty_project
from tests.support.http_load import Kind, get, http_load
from tests.support.tool import Cli

CONFIG = """\
cloud: local
zones: [ru-central1-a]
network: {cidr: 10.30.0.0/16}
secrets: {certificate: certificate}
groups:
  door:
    kind: samovar/edge
    size: 2
    upstreams: {app: shop}
    settings:
      fallback_port: 8080
      routes: [{path: "/rows/:id"}, {path: /rows, retry: false}, {path: /}]
  shop:
    image: shop
    size: 1
    machine: {cores: 2, core_fraction: 20, memory: 1G, disk: 5G}
    ports: [8080]
    health: {port: 8080, path: /-/health}
    exporters: {shop: 8080}
  watch: {kind: samovar/monitoring, objectives: shop}
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
parent: samovar/base
application: {source: shop, target: /opt/shop, run: {}}
"""
SHOP = """\
#!/usr/bin/python3
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"shop_up 1\\n" if self.path == "/metrics" else b"a row\\n")

    def do_POST(self):
        self.send_response(500)
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
    (project / "images/shop/role.yaml").write_text("units: [shop.service]\n")
    (project / "images/shop/shop").write_text(SHOP)
    (project / "images/shop/shop").chmod(0o755)
    (project / "loads").mkdir()
    (project / "loads/shop.yaml").write_text(PROFILE)
    tool = Cli(folder / "home", project / "envs", prefix=("env", f"SAMOVAR_PROJECT={project}"))
    tool.write("dev", CONFIG)
    try:
        tool.run("up", "dev", "--yes")
        yield tool
    finally:
        tool.run("cloud", "down", check=False)


def post(address: str) -> int:
    with closing(HTTPConnection(address, timeout=10)) as connection:
        connection.request("POST", "/rows", b"")
        return connection.getresponse().status


def counts(cli: Cli) -> dict[tuple[str, str], tuple[int, int]]:
    """Requests and errors by route and method."""
    endpoints = cli.json("metrics", "dev", "--since", "20m")["endpoints"]
    return {(each["route"], each["method"]): (each["requests"], each["errors"]) for each in endpoints}


def wait_for_counts(cli: Cli, expected: dict[tuple[str, str], tuple[int, int]]) -> None:
    def probe() -> bool | Pending:
        found = {key: value for key, value in counts(cli).items() if key in expected}
        return found == expected or Pending(str(found))

    wait_for(f"the counts {expected}", probe, timeout=60, interval=1)


def values(cli: Cli, query: str) -> list[Any]:
    return list(cli.json("metrics", "dev", "--query", query))


def test_each_request_is_counted_once_by_its_route_also_over_a_rotation_of_the_log(cli: Cli) -> None:
    address = cli.address("dev")
    for number in range(ROWS):
        assert get(address, f"/rows/{number}") == "a row"
    assert {post(address) for _ in range(POSTS)} == {500}
    wait_for_counts(cli, {("/rows/:id", "GET"): (ROWS, 0), ("/rows", "POST"): (POSTS, POSTS)})
    with http_load(address, Kind("/rows/1"), rate=40) as load:
        for edge in ("dev-door-1", "dev-door-2"):
            inside = ["nsenter", "-a", "-t", str(cli.pid("dev", edge))]
            subprocess.run([*inside, "logrotate", "--force", "/etc/logrotate.d/nginx"], check=True)
    assert load.failed == []
    wait_for_counts(cli, {("/rows/:id", "GET"): (ROWS + len(load.answers), 0), ("/rows", "POST"): (POSTS, POSTS)})
    (rows,) = [each for each in cli.json("metrics", "dev")["endpoints"] if each["route"] == "/rows/:id"]
    assert 0 < rows["p50"] <= rows["p90"] <= rows["p99"] < 10


def test_every_exporter_is_a_target_and_shows_metrics(cli: Cli) -> None:
    def jobs(value: int) -> set[tuple[str, str]]:
        series = values(cli, f"up == {value}")
        return {(each["labels"]["job"], each["labels"]["instance"]) for each in series}

    doors = {(job, f"door-{index}") for job in ("node", "edge", "haproxy") for index in (1, 2)}
    others = {("node", "shop-1"), ("shop", "shop-1")}
    own = {(job, "watch-1") for job in ("node", "prometheus", "alertmanager")}
    wait_for("every target", lambda: jobs(1) == doors | others | own or Pending(str(jobs(0))), timeout=60, interval=1)
    (end,) = values(cli, "min(samovar_certificate_not_after_timestamp_seconds - time())")
    assert end["value"] > 86400
    assert values(cli, "haproxy_process_uptime_seconds")
    assert values(cli, 'node_systemd_service_restart_total{name="nginx.service"}')
    assert values(cli, 'node_filesystem_avail_bytes{mountpoint="/"}')
    assert [each["labels"]["alertname"] for each in values(cli, 'ALERTS{severity="page"}')] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_each_query_of_a_dashboard_has_an_answer(cli: Cli, dashboard: Path) -> None:
    panels = json.loads(dashboard.read_text())["panels"]
    assert panels
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    assert [query for query in queries if not values(cli, query)] == []


def test_journals_are_shown_by_group_machine_and_unit(cli: Cli) -> None:
    def lines(*arguments: str) -> list[str]:
        return cli.run("logs", "dev", *arguments).stdout.splitlines()

    wait_for(
        "journals", lambda: any(" shop-1 shop.service: " in line for line in lines("shop")), timeout=60, interval=1
    )
    assert {line.split()[1] for line in lines("door")} == {"door-1", "door-2"}
    assert {line.split()[2] for line in lines("door-1", "--unit", "haproxy")} == {"haproxy.service:"}
    assert "samovar: " in cli.run("logs", "dev", "door-1", "--console").stdout


def test_users_see_nothing_of_the_death_of_the_machine_that_monitors_and_its_metrics_survive(cli: Cli) -> None:
    address, before = cli.address("dev"), counts(cli)[("/rows/:id", "GET")][0]
    old = cli.pid("dev", "dev-watch-1")
    with http_load(address, Kind("/rows/1"), rate=40) as load:
        cli.run("cloud", "kill", "dev-watch-1")
        cli.status_when("dev", lambda status: status["healthy"] and cli.pid("dev", "dev-watch-1") not in {None, old})
    assert load.failed == []
    wait_for_counts(cli, {("/rows/:id", "GET"): (before + len(load.answers), 0)})
