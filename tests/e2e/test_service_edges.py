"""The edges of the whole service, on real machines: protocols, browsers, load, and edges that stop or die."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from samovar.core.errors import ExitCode, WaitTimeout
from samovar.core.waiting import Pending, wait_for
from samovar.load.slo import age, from_cache
from tests.support.certify import certify
from tests.support.checkout import ENVIRONMENTS
from tests.support.curl import OFFERS, curl, statuses
from tests.support.firefox import Firefox, Page, firefox
from tests.support.http_load import Answer, Kind, http_load
from tests.support.https import make_signed
from tests.support.run_in_machine import run_in_machine
from tests.support.tool import TIMEOUT, Cli, first_answer, rolled_out
from tests.support.wait import wait_until

pytestmark = pytest.mark.alone
T = TypeVar("T")

SLEEP = 0.1
"""Seconds that the database sleeps for `/db_dummy`."""
TRIPPED = 15.0
"""Seconds after which a balancer surely sends nothing to a dead machine any more, on a busy host."""
QUIC_IDLE = 35.0
"""Seconds after which Firefox has given up a connection over which nothing came; its own bound is 30."""
BROWSERS = 5
"""Browsers that try to speak HTTP/3, one after another."""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with rolled_out(tmp_path_factory.mktemp("edges"), ENVIRONMENTS / "dev/config.yaml") as tool:
        yield tool


@pytest.fixture
def address(cli: Cli) -> str:
    return cli.address("dev")


def test_load_goes_over_each_protocol_and_knows_the_certificate(cli: Cli) -> None:
    https = next(iter(cli.status("dev")["endpoints"]["https"]))
    load = ("load", "dev", "--rate", "10", "--for", "3s", "-o", "json")
    for options in ((), ("--http2",), ("--url", f"{https}ping")):
        report = json.loads(cli.run(*load, *options, check=False).stdout)
        (endpoint,) = report["endpoints"]
        assert (endpoint["sent"], endpoint["errors"], report["not_removed"]) == (30, {}, [])
    refused = cli.run("load", "dev", "--url", "http://127.0.0.1/", check=False)
    assert (refused.code, "no address of dev" in refused.stderr) == (ExitCode.CONFIG, True)


def test_load_with_profile_terms_reports_whether_its_slo_are_met(cli: Cli, tmp_path: Path) -> None:
    """The rate is one that the slowest host bears; it does not matter which bounds hold there."""
    done = cli.run(
        *("load", "dev", "--profile", "terms", "--rate", "10", "--for", "15s"),
        *("--report", str(tmp_path), "-o", "json"),
        check=False,
    )
    report = json.loads(done.stdout)
    assert done.code == (ExitCode.OK if report["slo_met"] else ExitCode.SLO_VIOLATED)
    assert all(endpoint["sent"] for endpoint in report["endpoints"])
    assert report["not_removed"] == []
    assert report["failed"] <= report["requests"] / 20
    assert "GET /long_dummy" in (tmp_path / "load-dev-terms.html").read_text()


def _edge(address: str) -> str:
    """The edge that works."""
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().headers["X-Edge"] or ""
    finally:
        connection.close()


def _settled(cli: Cli, address: str) -> list[str]:
    """The edges in their order, once the first of them does the work."""

    def edges() -> list[str]:
        names = sorted(name for name in cli.instance_ids() if name.startswith("dev-nginx-"))
        return names if len(names) > 1 and f"dev-{first_answer(lambda: _edge(address))}" == names[0] else []

    return wait_until("the first edge works", edges, timeout=TIMEOUT)


def test_http_3_is_offered_and_spoken_at_an_edges_own_address(address: str, base_image: Path) -> None:
    def taken_up() -> list[tuple[str, str]] | None:
        answers = _over_http_3(curl, base_image, *[f"https://{address}/ping"] * 2, options=OFFERS)
        return answers if answers[1][0] == "3" else None

    first, second = wait_until("the offer is taken up", taken_up, timeout=TIMEOUT)
    assert first == ("2", address)
    assert second[1] != address
    assert _over_http_3(curl, base_image, f"https://{second[1]}/ping") == [second]
    inner = [f"/-/{name}" for name in ("health", "ready", "peer", "x")]
    assert statuses(base_image, *(f"http://{address}{path}" for path in inner)) == ["404"] * 4
    for path in inner:
        assert _over_http_3(statuses, base_image, f"https://{second[1]}{path}") == ["404"]


def _over_http_3(
    ask: Callable[..., list[T]], base: Path, *urls: str, options: Sequence[str] = ("--http3-only",)
) -> list[T]:
    """Return what curl was answered, which asks again where it got no answer: docs/edge.md says when that is so."""
    bounded = partial(ask, base, *urls, options=(*options, "--max-time", "3"))
    return wait_until("an answer over HTTP/3", bounded, timeout=TIMEOUT, errors=(AssertionError,))


@pytest.fixture(scope="module")
def authority(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The edges answer under a certificate of this authority."""
    folder, address = tmp_path_factory.mktemp("certificates"), cli.address("dev")
    certificate, trusted = make_signed(folder, address)
    certify(cli, address, certificate, trusted)
    return trusted


def test_a_browser_that_spoke_http_3_to_a_dead_edge_falls_back(
    cli: Cli, address: str, authority: Path, tmp_path: Path
) -> None:
    """Its connection has ended in peace, and it remembers the edge's own address."""
    with _speaking_http_3(cli, tmp_path, authority, f"https://{address}/ping?remembered") as (browser, edge):
        time.sleep(QUIC_IDLE)
        cli.run("cloud", "kill", edge)
        assert browser.visit(f"https://{address}/ping") == Page("h2", "pong")


def test_a_browser_that_speaks_http_3_to_an_edge_as_it_dies_goes_on(
    cli: Cli, address: str, authority: Path, tmp_path: Path
) -> None:
    """The browser goes on when it gives up its QUIC connection: its user reloads the page until it comes."""
    with _speaking_http_3(cli, tmp_path, authority, f"https://{address}/ping?connected") as (browser, edge):
        cli.run("cloud", "kill", edge)

        def reloaded() -> Page | Pending:
            try:
                return browser.visit(f"https://{address}/ping", timeout=10)
            except ConnectionError as error:
                return Pending(str(error))

        assert wait_for("the page", reloaded, timeout=4 * QUIC_IDLE).text == "pong"


@contextmanager
def _speaking_http_3(cli: Cli, folder: Path, authority: Path, url: str) -> Iterator[tuple[Firefox, str]]:
    """A browser that has come to speak HTTP/3, and the name of its edge.

    Firefox excludes a host from HTTP/3 until it ends, once a handshake failed (Http3Session::Shutdown), as it does when
    an edge begins its reload or the host is busy. Then another browser is started.
    """
    for number in range(BROWSERS):
        with firefox(folder / str(number), authority) as browser:
            assert browser.visit(url) == Page("h2", "pong")
            try:
                wait_for("HTTP/3", lambda: _protocol(browser, url), timeout=TIMEOUT / BROWSERS)
            except WaitTimeout:
                continue
            yield browser, _edge_asked_over_http_3(cli, f"/{url.rpartition('/')[2]}")
            return
    pytest.fail(f"{BROWSERS} browsers one after another did not come to speak HTTP/3")


def _protocol(browser: Firefox, url: str) -> str | Pending:
    protocol = browser.visit(url).protocol
    return protocol if protocol == "h3" else Pending(protocol)


def _edge_asked_over_http_3(cli: Cli, uri: str) -> str:
    def logged() -> str | Pending:
        edges = [machine for machine in cli.json("cloud", "status")["machines"] if "-nginx-" in machine["name"]]
        asked = (edge["name"] for edge in edges if ("HTTP/3.0", uri) in _requests(edge["pid"]))
        return next(asked, Pending(f"not in the logs of {[edge['name'] for edge in edges]}"))

    return wait_for(f"{uri} over HTTP/3 in a log", logged, timeout=TIMEOUT)


def _requests(pid: int) -> set[tuple[str, str]]:
    """The protocol and the URI of each request in an edge's log."""
    log = Path(f"/proc/{pid}/root/var/log/nginx/access.log").read_text()
    entries = (json.loads(line) for line in log.splitlines())
    return {(entry["protocol"], entry["uri"]) for entry in entries}


def test_connections_are_balanced_over_bingo_machines(cli: Cli, address: str) -> None:
    _settled(cli, address)
    with http_load(address, Kind("/ping"), rate=120, limit=120):
        time.sleep(1)
        for _ in range(2):
            before = _accepted(cli)
            time.sleep(10)
            opened = [now - then for now, then in zip(_accepted(cli), before, strict=True)]
            assert max(opened) <= 0.6 * sum(opened), opened
    assert [_dropped(cli.pid(edge)) for edge in _settled(cli, address)] == [0, 0], "that was no flood"


def _dropped(pid: int) -> int:
    """Return how many connections that edge dropped because its clients opened too many."""
    text = run_in_machine(pid, "nft", "list", "chain", "ip", "edge", "opened")
    return int(text.partition("counter packets ")[2].split()[0])


def _accepted(cli: Cli) -> list[int]:
    """Return how many connections each bingo machine has accepted so far, its proxy's own to bingo among them."""
    counts = []
    for machine in cli.status("dev")["groups"][1]["machines"]:
        lines = Path(f"/proc/{machine['pid']}/net/snmp").read_text().splitlines()
        names, values = (line.split() for line in lines if line.startswith("Tcp:"))
        counts.append(int(values[names.index("PassiveOpens")]))
    return counts


EDGES = pytest.mark.parametrize("place", [0, 1], ids=["the edge that works", "the other edge"])


@EDGES
def test_a_stopped_edge_fails_no_request(cli: Cli, address: str, place: int) -> None:
    """It says that it leaves, nothing more is sent to it, and what it has it finishes: nobody notices."""
    name = _settled(cli, address)[place]
    with http_load(address, Kind("/db_dummy"), limit=120) as load:
        time.sleep(1)
        before = cli.instance_ids()
        cli.stop(name)
        wait_until("it is gone", lambda: before[name] not in cli.instance_ids().values(), timeout=TIMEOUT)
        cli.status_when("dev", lambda status: status["healthy"])
        _settled(cli, address)
    assert not load.failed


def test_a_killed_nginx_fails_only_requests_in_flight(cli: Cli, address: str) -> None:
    """A client that comes before systemd has started another one waits for it at a socket that systemd holds."""
    edges = {name: cli.pid(name) for name in _settled(cli, address)}
    sockets = {name: _listening_sockets(pid) for name, pid in edges.items()}
    with http_load(address, Kind("/ping"), rate=100, limit=120) as load:
        time.sleep(1)
        kills = [_kill_nginx(pid) for pid in edges.values()]
        time.sleep(1)
    assert len(load.answers) > 100
    late = [answer for answer in load.failed if not any(_in_flight(answer, *kill) for kill in kills)]
    assert late == []
    assert {name: _listening_sockets(pid) for name, pid in edges.items()} == sockets


def _listening_sockets(pid: int) -> dict[int, str]:
    """The inodes of the sockets at which that machine takes http and https, by their ports."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    listening = {int(row[1].rpartition(":")[2], 16): row[9] for row in rows if row[3] == "0A"}
    return {port: listening[port] for port in (80, 443)}


def _kill_nginx(pid: int) -> tuple[float, float]:
    """Kill all processes of nginx in that machine; return when that began and ended, once there are others."""
    show = "systemctl", "show", "--property=MainPID,SubState", "nginx.service"
    killed = run_in_machine(pid, *show)
    before = time.monotonic()
    run_in_machine(pid, "systemctl", "kill", "--signal=SIGKILL", "nginx.service")
    after = time.monotonic()

    def back() -> bool:
        shown = run_in_machine(pid, *show)
        return shown != killed and "SubState=running" in shown

    wait_until("nginx is back", back, timeout=TIMEOUT)
    return before, after


def _in_flight(answer: Answer, before: float, after: float) -> bool:
    return answer.due <= after and answer.due + answer.seconds >= before


@EDGES
def test_a_killed_edge_fails_only_requests_in_flight(cli: Cli, address: str, place: int) -> None:
    name = _settled(cli, address)[place]
    with (
        http_load(address, Kind("/db_dummy"), limit=120) as load,
        http_load(address, Kind("/long_dummy"), rate=3, limit=120, timeout=90) as slow,
    ):
        time.sleep(2)
        old, killed = cli.pid(name), time.monotonic()
        cli.run("cloud", "kill", name)
        cli.wait_until_replaced("dev", name, old)
        _settled(cli, address)
        time.sleep(2)
    failed = load.failed + slow.failed
    assert all(killed - 2 < answer.due < killed + TRIPPED for answer in failed), failed
    _assert_ages(slow.answers)
    assert len({answer.headers["x-edge"] for answer in slow.answers if not answer.error}) >= 2 - place
    served = [answer for answer in load.answers if not answer.error]
    assert not any(from_cache(answer.headers) or answer.seconds < SLEEP for answer in served)


def _assert_ages(answers: list[Answer]) -> None:
    """Assert the age of each `/long_dummy` when it was requested, by bingo's own text and by the edge's headers."""
    started = time.time() - time.monotonic()
    for answer in (answer for answer in answers if not answer.error):
        asked = datetime.fromtimestamp(started + answer.due, UTC)
        stated = age(answer.headers, asked)
        assert stated is not None
        assert max(stated, (asked - datetime.fromisoformat(answer.body.split()[-1])).total_seconds()) < 60, answer
