"""The load generator against servers on loopback: its schedule, its failures, its cleanup."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from samovar.core.errors import CloudError, ConfigError
from samovar.deploy.resources.secret import self_signed
from samovar.load.client import Target
from samovar.load.generator import NOT_SENT, Load, Run, send_load
from samovar.load.report import report
from samovar.project.load_profile import LoadProfile, load_profile
from tests.support.checkout import ROOT
from tests.support.environments import page_profile

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PAGE = page_profile("page", 20.0)
TERMS = load_profile(ROOT / "loads", "terms")
OFTEN = TERMS.model_copy(update={"sequential": TERMS.sequential.model_copy(update={"every": 0.1})})


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Target]:
    """A server that answers everything by `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield Target(site.name.replace("0.0.0.0", "127.0.0.1").rstrip("/").replace(":0", f":{runner.addresses[0][1]}"))
    finally:
        await runner.cleanup()


async def sent(handler: Handler, profile: LoadProfile = PAGE, *, rate: float = 20.0, seconds: float = 1.0) -> Run:
    async with serving(handler) as target:
        run = Run()
        await send_load(Load(profile, (target,), rate, seconds), run)
        return run


async def well(_: web.Request) -> web.Response:
    return web.Response(text="pong")


async def test_slow_answers_do_not_delay_requests() -> None:
    arrived = []

    async def slow(_: web.Request) -> web.Response:
        arrived.append(time.monotonic())
        await asyncio.sleep(0.5)
        return web.Response()

    run = await sent(slow)
    assert [outcome.due for outcome in run.outcomes] == pytest.approx([number / 20 for number in range(20)])
    assert len(arrived) == 21  # the first one only looked whom it talks to
    assert min(outcome.seconds for outcome in run.outcomes) >= 0.5


async def test_a_stall_shows_in_the_latency_of_all_requests_due_meanwhile() -> None:
    began = time.monotonic()

    async def stalling(_: web.Request) -> web.Response:
        now = time.monotonic() - began
        await asyncio.sleep(1.6 - now if 0.6 <= now < 1.6 else 0)
        return web.Response()

    run = await sent(stalling, seconds=2.5)
    slow = sorted(outcome.seconds for outcome in run.outcomes if outcome.seconds > 0.15)
    assert len(slow) >= 14, "of 20 a second all that were due in the second of the stall, less those of its end"
    assert slow[-1] - slow[0] > 0.5, "the later one was due, the shorter it had to wait"


async def test_the_delay_of_the_generator_itself_is_reported() -> None:
    asked = []

    async def stalling(_: web.Request) -> web.Response:
        asked.append(1)
        if len(asked) == 11:
            time.sleep(1)  # noqa: ASYNC251 - that is the stall
        return web.Response()

    run = await sent(stalling, seconds=2.0)
    assert sum(outcome.seconds > 0.2 for outcome in run.outcomes) >= 14
    assert max(outcome.late for outcome in run.outcomes) > 0.5
    assert "late" in report("dev", Load(PAGE, (), 20, 2), run).warnings[0]


async def test_failures_are_named() -> None:
    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=500)

    async def cut(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    assert {outcome.failure for outcome in (await sent(broken)).outcomes} == {"HTTP 500"}
    assert {outcome.failure for outcome in (await sent(cut)).outcomes} == {"cut off"}


async def test_no_connection_and_timeout_are_failures() -> None:
    run = Run()
    await send_load(Load(PAGE, (Target("http://127.0.0.1:1"),), 20, 0.5), run)
    assert {outcome.failure for outcome in run.outcomes} == {"no connection"}

    async def mute(request: web.Request) -> web.Response:
        await asyncio.sleep(0.0 if len(arrived) == 0 else 0.5)
        arrived.append(request)
        return web.Response()

    arrived: list[web.Request] = []
    run = await sent(mute, page_profile("page", 20.0, timeout=0.2), seconds=0.5)
    assert Counter(outcome.failure for outcome in run.outcomes)["timeout"] >= 9


async def test_requests_in_flight_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samovar.load.generator.MAX_IN_FLIGHT", 5)

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.5)
        return web.Response()

    run = await sent(slow, rate=40, seconds=0.4)
    assert Counter(outcome.failure for outcome in run.outcomes) == {"": 5, NOT_SENT: 11}


@pytest.mark.parametrize("fresh", [0.0, 0.5, 1.0])
async def test_fresh_connections_have_the_requested_share(fresh: float) -> None:
    observed = set()

    async def look(request: web.Request) -> web.Response:
        observed.add(request.transport)
        return web.Response()

    async with serving(look) as target:
        run = Run()
        await send_load(Load(PAGE, (target,), 40, 1.0, fresh=fresh), run)
    assert len(run.outcomes) == 40
    kept = 0 if fresh == 1 else 1
    assert 40 * fresh + kept <= len(observed) - 1 <= 40 * fresh + kept * 5


async def test_the_load_ends_with_the_work_that_it_goes_with() -> None:
    async def work(_: Run) -> None:
        await asyncio.sleep(0.5)

    async with serving(well) as target:
        run = Run()
        await send_load(Load(PAGE, (target,), 20, 600.0), run, work)
    assert 8 <= len(run.outcomes) <= 12


async def test_an_error_of_the_work_is_raised_as_it_is() -> None:
    async def work(_: Run) -> None:
        raise CloudError("dev is not whole")

    async with serving(well) as target:
        with pytest.raises(CloudError, match="not whole"):
            await send_load(Load(PAGE, (target,), 20, 600.0), Run(), work)


async def test_only_the_trusted_certificate_is_accepted(tmp_path: Path) -> None:
    trusted_pair, other = self_signed(["127.0.0.1"]), self_signed(["127.0.0.1"])
    (tmp_path / "cert").write_text(trusted_pair.cert)
    (tmp_path / "key").write_text(trusted_pair.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    async with serving(well, server) as target:
        for pem, trusted in ((trusted_pair.cert, True), (other.cert, False)):
            client = ssl.create_default_context()
            client.load_verify_locations(cadata=pem)
            run, load = Run(), Load(PAGE, (replace(target, tls=client),), 20, 0.2)
            if trusted:
                await send_load(load, run)
                assert {outcome.failure for outcome in run.outcomes} == {""}
                continue
            for http2 in (False, True):
                with pytest.raises(ConfigError, match="cannot be verified"):
                    await send_load(replace(load, http2=http2), Run())


class Cinema:
    """A server with the service's routes, on which sessions are created and deleted."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.lists = self.most_lists = 0
        self.cache: dict[str, str] = {}
        self.deleting = True

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path
        self.asked[f"{request.method} {path.rstrip('0123456789')}"] += 1
        if request.method == "POST" and path == "/api/session":
            self.sessions.add(str(10_000_000 + len(self.sessions)))
            return web.json_response({"id": int(max(self.sessions))})
        if request.method == "DELETE":
            if not self.deleting:
                return web.Response(status=500)
            self.sessions.discard(path.rpartition("/")[2])
            return web.json_response({})
        if path in {"/api/movie", "/api/customer", "/api/session"}:
            return await self._list()
        if path.startswith("/api/") and not self._there(*path.split("/")[2:]):
            return web.Response(status=404)
        if path == "/db_dummy":
            await asyncio.sleep(0.11)
        return web.Response(text=path, headers={"Age": "3"} if path == "/long_dummy" else self.cache)

    async def _list(self) -> web.Response:
        self.lists += 1
        self.most_lists = max(self.most_lists, self.lists)
        await asyncio.sleep(0.3)
        self.lists -= 1
        return web.json_response([1])

    def _there(self, table: str, row: str) -> bool:
        counts = {"movie": 290, "customer": 5000, "session": 50_000}
        return row in self.sessions or int(row) <= counts[table]


async def test_the_terms_profile_requests_every_endpoint_and_cleans_up() -> None:
    cinema = Cinema()
    run = await sent(cinema.answer, OFTEN, rate=100, seconds=2.0)
    result = report("dev", Load(OFTEN, (), 100, 2), run)
    assert {figures.endpoint for figures in result.endpoints} == {outcome.endpoint for outcome in run.outcomes}
    assert {figures.endpoint: figures.errors for figures in result.endpoints if figures.errors} == {}
    assert (cinema.most_lists, cinema.sessions, run.created) == (1, set(), set())
    assert cinema.asked["POST /operation"] == pytest.approx(36, abs=1)
    assert 190 <= len([o for o in run.outcomes if o.endpoint not in TERMS.sequential.requests]) <= 210


async def test_an_answer_from_a_cache_is_a_failure() -> None:
    cinema = Cinema()
    cinema.cache = {"X-Cache": "HIT"}
    run = await sent(cinema.answer, OFTEN, rate=60, seconds=1.0)
    assert {o.endpoint for o in run.outcomes if o.failure == "from a cache"} >= {"GET /db_dummy", "GET /api/movie/{id}"}
    assert not [o for o in run.outcomes if o.failure and o.endpoint == "GET /long_dummy"]


async def test_created_rows_are_removed_later_or_reported() -> None:
    cinema = Cinema()
    async with serving(cinema.answer) as target:

        async def work(_: Run) -> None:
            await asyncio.sleep(1.0)
            cinema.deleting = repaired

        for repaired in (True, False):
            cinema.sessions, cinema.deleting, run = set(), False, Run()
            await send_load(Load(OFTEN, (target,), 100, 60), run, work)
            assert any(o.failure for o in run.outcomes if o.endpoint.startswith("DELETE"))
            assert {str(created.value) for created in run.created} == cinema.sessions
            assert bool(run.created) is not repaired


async def test_an_application_that_answers_for_a_deleted_row_with_an_empty_list_meets_the_terms() -> None:
    cinema = Cinema()

    async def answer(request: web.Request) -> web.Response:
        given = await cinema.answer(request)
        return web.json_response([]) if given.status == 404 else given

    run = await sent(answer, OFTEN, rate=60, seconds=1.0)
    assert {o.failure for o in run.outcomes} == {""}


async def test_an_answer_without_what_the_flow_needs_is_a_failure() -> None:
    cinema = Cinema()

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({}) if request.method == "POST" else await cinema.answer(request)

    run = await sent(answer, OFTEN, rate=60, seconds=1.0)
    assert {o.failure for o in run.outcomes if o.endpoint == "POST /api/session"} == {"without id"}


async def test_a_database_without_rows_is_an_error() -> None:
    async def empty(_: web.Request) -> web.Response:
        return web.Response(status=404)

    with pytest.raises(CloudError, match="no rows"):
        await sent(empty, TERMS)


def test_no_module_knows_a_route_or_an_objective_of_the_sample_service() -> None:
    modules = [
        path for folder in ("load", "drills", "project", "cli") for path in (ROOT / "samovar" / folder).glob("*.py")
    ]
    text = "".join(path.read_text() for path in modules if path.name != "environment_file.py")
    assert not [word for word in ("/api/", "dummy", "/operation", "movie", "29_022", "29022") if word in text]
    assert "0.4" not in "".join(path.read_text() for path in (ROOT / "samovar/load").glob("*.py"))
