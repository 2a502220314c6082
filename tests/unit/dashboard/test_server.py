"""The page is for those who have its address, and for no page of another site."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping

import aiohttp
import pytest
import pytest_asyncio

from samovar.dashboard.feed import Feed
from samovar.dashboard.panels import Graphs
from samovar.dashboard.server import Gate, serve
from samovar.deploy.status import GroupStatus, MachineStatus, Status
from samovar.ops.events import Reading
from tests.support.checkout import environment
from tests.support.environments import changed

GATE = Gate(8000, "secret")
HOST = "127.0.0.1:8000"
ILL = MachineStatus(
    "dev-nginx-1", "a", "10.0.0.3", "CHECKING_HEALTH", "one", "UNHEALTHY", message="<script>no</script>"
)


@pytest.mark.parametrize(
    ("token", "headers", "reason"),
    [
        ("secret", {"Host": HOST}, None),
        ("secret", {"Host": "localhost:8000"}, None),
        ("secret", {"Host": HOST, "Origin": f"http://{HOST}"}, None),
        ("secre", {"Host": HOST}, "token"),
        ("", {"Host": HOST}, "token"),
        ("é", {"Host": HOST}, "token"),
        ("secret", {}, "Host"),
        ("secret", {"Host": "127.0.0.1"}, "Host"),
        ("secret", {"Host": "127.0.0.1:8001"}, "Host"),
        ("secret", {"Host": "rebound.example:8000"}, "Host"),
        ("secret", {"Host": HOST, "Origin": "null"}, "Origin"),
        ("secret", {"Host": HOST, "Origin": "http://localhost:8000"}, "Origin"),
        ("secret", {"Host": HOST, "Origin": "https://other.example"}, "Origin"),
    ],
)
def test_a_request_needs_the_token_and_comes_from_no_other_site(
    token: str, headers: Mapping[str, str], reason: str | None
) -> None:
    refusal = GATE.refusal(token, headers)
    assert refusal is None if reason is None else reason in str(refusal)


def test_the_token_is_another_one_each_time_and_is_not_shown() -> None:
    assert Gate(1).token != Gate(1).token
    assert len(Gate(1).token) >= 32
    assert "secret" not in repr(GATE)


def readings() -> Iterator[Reading]:
    """One, and then the end never comes."""
    yield Reading(1.0, Status("dev", (GroupStatus("nginx", 1, "one", (ILL,), "group"),)))
    while True:
        yield Reading(2.0, Status("dev", (GroupStatus("nginx", 1, "one", (ILL,), "group"),)))


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    opened = asyncio.get_running_loop().create_future()
    dev = environment("dev")
    alone = changed(dev, groups=[changed(dev.group("nginx"), upstreams={})])
    feed = Feed(alone, readings(), Graphs)
    serving = asyncio.create_task(serve("dev", feed, 0, 60.0, opened.set_result))
    yield await opened
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_the_page_has_no_inline_script_and_only_its_own_files_are_served(url: str) -> None:
    async with aiohttp.ClientSession() as client:
        async with client.get(url) as page:
            assert page.status == 200
            assert "script-src 'self'" in page.headers["Content-Security-Policy"]
            assert "<script>" not in await page.text()
        for name in ("app.js", "style.css", "uplot/uPlot.min.css", "uplot/uPlot.iife.min.js"):
            async with client.get(url + name) as file:
                assert file.status == 200, name
        for name in ("server.py", "picture.svg.j2", "../server.py", "uplot/%2e%2e/page.html.j2"):
            async with client.get(url + name) as file:
                assert file.status in {403, 404}, name


async def test_requests_of_others_are_refused_for_any_path(url: str) -> None:
    wrong, rest = url.rsplit("/", 2)[0], ("", "wrong/", "wrong/stream", "wrong/app.js", "wrong/nothing")
    async with aiohttp.ClientSession() as client:
        for path in rest:
            async with client.get(f"{wrong}/{path}") as answer:
                assert answer.status == 403, path
        for headers in ({"Host": "other.example"}, {"Origin": "https://other.example"}):
            async with client.get(f"{url}stream", headers=headers) as answer:
                assert answer.status == 403
        async with client.post(url) as answer:
            assert answer.status == 405


async def test_a_viewer_gets_the_present_state_and_output_of_machines_is_escaped(url: str) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"{url}stream?tall=1") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        text = ""
        async with asyncio.timeout(20):
            while "event: measured" not in text:
                text += (await stream.content.readany()).decode()
    assert "0 of 1 machines are healthy" in text
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
