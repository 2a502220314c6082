"""The load generator against servers of its own on loopback: by the clock, and each failure by its name."""

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
from samovar.deploy.certificate import self_signed
from samovar.load import slo
from samovar.load.client import Target
from samovar.load.generator import NOT_SENT, Load, Run, send_load
from samovar.load.report import report
from samovar.load.slo import Profile, plain
from tests.support.checkout import ROOT

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PAGE = plain("page", 20.0)


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


async def sent(handler: Handler, profile: Profile = PAGE, *, rate: float = 20.0, seconds: float = 1.0) -> Run:
    async with serving(handler) as target:
        run = Run()
        await send_load(Load(profile, (target,), rate, seconds), run)
        return run


async def well(_: web.Request) -> web.Response:
    return web.Response(text="pong")


async def test_slow_answers_do_not_slow_the_questions() -> None:
    arrived = []

    async def slow(_: web.Request) -> web.Response:
        arrived.append(time.monotonic())
        await asyncio.sleep(0.5)
        return web.Response()

    run = await sent(slow)
    assert [outcome.due for outcome in run.outcomes] == pytest.approx([number / 20 for number in range(20)])
    assert len(arrived) == 21  # the first one only looked whom it talks to
    assert min(outcome.seconds for outcome in run.outcomes) >= 0.5


async def test_a_stall_shows_in_the_latency_of_all_that_were_due_meanwhile() -> None:
    began = time.monotonic()

    async def stalling(_: web.Request) -> web.Response:
        now = time.monotonic() - began
        await asyncio.sleep(1.6 - now if 0.6 <= now < 1.6 else 0)
        return web.Response()

    run = await sent(stalling, seconds=2.5)
    slow = sorted(outcome.seconds for outcome in run.outcomes if outcome.seconds > 0.15)
    assert len(slow) >= 14, "of 20 a second all that were due in the second of the stall, less those of its end"
    assert slow[-1] - slow[0] > 0.5, "the later one was due, the shorter it had to wait"


async def test_a_generator_that_stands_still_adds_its_own_delay_and_says_so() -> None:
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


async def test_an_error_bears_its_name() -> None:
    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=500)

    async def cut(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    assert {outcome.failure for outcome in (await sent(broken)).outcomes} == {"HTTP 500"}
    assert {outcome.failure for outcome in (await sent(cut)).outcomes} == {"cut off"}


async def test_nobody_there_and_nobody_answering_are_failures_too() -> None:
    run = Run()
    await send_load(Load(PAGE, (Target("http://127.0.0.1:1"),), 20, 0.5), run)
    assert {outcome.failure for outcome in run.outcomes} == {"no connection"}

    async def mute(request: web.Request) -> web.Response:
        await asyncio.sleep(0.0 if len(arrived) == 0 else 0.5)
        arrived.append(request)
        return web.Response()

    arrived: list[web.Request] = []
    (flow,) = PAGE.flows
    quick = replace(flow, steps=(replace(flow.steps[0], endpoint=replace(flow.steps[0].endpoint, timeout=0.2)),))
    run = await sent(mute, replace(PAGE, flows=(quick,)), seconds=0.5)
    assert Counter(outcome.failure for outcome in run.outcomes)["timeout"] >= 9


async def test_no_more_is_in_flight_than_can_be_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samovar.load.generator.MOST_IN_FLIGHT", 5)

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.5)
        return web.Response()

    run = await sent(slow, rate=40, seconds=0.4)
    assert Counter(outcome.failure for outcome in run.outcomes) == {"": 5, NOT_SENT: 11}


@pytest.mark.parametrize("fresh", [0.0, 0.5, 1.0])
async def test_new_connections_are_in_the_proportion_that_was_asked_for(fresh: float) -> None:
    seen = set()

    async def look(request: web.Request) -> web.Response:
        seen.add(request.transport)
        return web.Response()

    async with serving(look) as target:
        run = Run()
        await send_load(Load(PAGE, (target,), 40, 1.0, fresh=fresh), run)
    assert len(run.outcomes) == 40
    kept = 0 if fresh == 1 else 1
    assert 40 * fresh + kept <= len(seen) - 1 <= 40 * fresh + kept * 5


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


async def test_only_the_certificate_that_is_known_is_taken(tmp_path: Path) -> None:
    known, other = self_signed(["127.0.0.1"]), self_signed(["127.0.0.1"])
    (tmp_path / "cert").write_text(known.cert)
    (tmp_path / "key").write_text(known.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    async with serving(well, server) as target:
        for pem, trusted in ((known.cert, True), (other.cert, False)):
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
    """The whole of the service's face, with sessions that come and go."""

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


@pytest.fixture
def lists_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samovar.load.generator.LISTS_EVERY", 0.1)


@pytest.mark.usefixtures("lists_often")
async def test_the_terms_are_asked_whole_and_cleaned_up_after() -> None:
    cinema = Cinema()
    run = await sent(cinema.answer, slo.TERMS, rate=100, seconds=2.0)
    found = report("dev", Load(slo.TERMS, (), 100, 2), run)
    assert {figures.endpoint.name for figures in found.figures} == {outcome.endpoint for outcome in run.outcomes}
    assert {figures.endpoint.name: dict(figures.errors) for figures in found.figures if figures.errors} == {}
    assert (cinema.most_lists, cinema.sessions, run.left) == (1, set(), set())
    assert cinema.asked["POST /operation"] == pytest.approx(36, abs=1)
    assert 190 <= len([o for o in run.outcomes if o.endpoint not in {e.name for e in slo.TERMS.lists}]) <= 210


@pytest.mark.usefixtures("lists_often")
async def test_what_comes_from_a_cache_is_none_of_the_service() -> None:
    cinema = Cinema()
    cinema.cache = {"X-Cache": "HIT"}
    run = await sent(cinema.answer, slo.TERMS, rate=60, seconds=1.0)
    assert {o.endpoint for o in run.outcomes if o.failure == "from a cache"} >= {"GET /db_dummy", "GET /api/movie/{id}"}
    assert not [o for o in run.outcomes if o.failure and o.endpoint == "GET /long_dummy"]


@pytest.mark.usefixtures("lists_often")
async def test_rows_that_were_left_behind_are_deleted_later_or_told() -> None:
    cinema = Cinema()
    async with serving(cinema.answer) as target:

        async def work(_: Run) -> None:
            await asyncio.sleep(1.0)
            cinema.deleting = repaired

        for repaired in (True, False):
            cinema.sessions, cinema.deleting, run = set(), False, Run()
            await send_load(Load(slo.TERMS, (target,), 100, 60), run, work)
            assert any(o.failure for o in run.outcomes if o.endpoint.startswith("DELETE"))
            assert run.left == {int(row) for row in cinema.sessions}
            assert bool(run.left) is not repaired


async def test_a_database_without_rows_is_told() -> None:
    async def empty(_: web.Request) -> web.Response:
        return web.Response(status=404)

    with pytest.raises(CloudError, match="no rows"):
        await sent(empty, slo.TERMS)


def test_no_module_but_the_terms_holds_a_bound() -> None:
    assert "0.4" not in "".join(
        (ROOT / f"samovar/load/{name}.py").read_text() for name in ("generator", "response_check", "results")
    )
