"""One path, however it is spelled: one entry of the cache, and no client who asks strangely makes others wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.edge import edge_image, run_scenario
from tests.support.edge_scenarios import spellings

STRANGE = [
    "Accept-Encoding: gzip",
    "Range: bytes=0-0",
    "Cache-Control: no-cache",
    "Cookie: a=b",
    "X-Made: 1",
    'If-None-Match: "x"',
]
OTHERS = ["/LONG_DUMMY", "/long_dummy;a", "/long%255Fdummy", "/long_dummy/x"]
"""Paths of their own."""
WAITED = 1.0


@pytest.fixture(scope="module")
def image() -> Path:
    return edge_image()


def test_all_spellings_share_one_answer_whatever_the_headers(image: Path) -> None:
    seen = run_scenario(image, spellings.shared_answer, headers=STRANGE, others=OTHERS)
    assert seen["first"] in {200, 206}
    assert all(seen["hits"]), seen["hits"]
    assert seen["bodies"] == 1
    assert seen["head"] == [200]
    assert seen["seen"].count("balancer GET /long_dummy") == 1
    assert seen["seen"] == [f"balancer GET {path}" for path in ("/long_dummy", *OTHERS)]
    assert seen["headers"] == [["connection", "host", "x-request-id"]]


def test_other_pages_are_not_cached(image: Path) -> None:
    """Not even where the application lets all of its answers be kept."""
    seen = run_scenario(image, spellings.other_pages)
    assert len(set(seen["pages"])) == 4
    assert seen["cached"] == [False] * 3
    assert len(set(seen["long"])) == 1


def test_writes_do_not_delay_reads_of_the_cached_page(image: Path) -> None:
    seen = run_scenario(image, spellings.writes)
    assert seen["status"] == 200
    assert seen["waited"] < 3 + 2 * WAITED
    assert seen["writes"] == [[405, "GET, HEAD"]] * 21
    assert seen["seen"] == ["balancer GET /long_dummy"]


def test_strange_requests_of_one_client_delay_no_other(image: Path) -> None:
    """For longer than an answer is served, which is the point; bingo takes 4 s, and ten requests come a second."""
    seen = run_scenario(image, spellings.strange_requests, headers=STRANGE)
    assert {status for status, _, _ in seen["load"]} == {200}
    slow = [seconds for _, _, seconds in seen["load"] if seconds > WAITED]
    print(f"{len(seen['load'])} asked, {len(slow)} waited, {seen['fetches']} fetches")  # noqa: T201
    assert slow == []
    assert seen["fetches"] <= 5
