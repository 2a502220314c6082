"""One path, however it is spelled: one entry of the cache, and no client who asks strangely makes others wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.edge import edge_image, run_scenario
from tests.support.edge_scenarios import spellings

pytestmark = pytest.mark.alone

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
"""Seconds from which a client was kept waiting."""


@pytest.fixture(scope="module")
def image() -> Path:
    return edge_image()


def test_all_spellings_share_one_answer_whatever_the_headers(image: Path) -> None:
    result = run_scenario(image, spellings.shared_answer, headers=STRANGE, others=OTHERS)
    assert result["first"] in {200, 206}
    assert all(result["hits"]), result["hits"]
    assert result["bodies"] == 1
    assert result["head"] == [200]
    assert result["seen"].count("balancer GET /long_dummy") == 1
    assert result["seen"] == [f"balancer GET {path}" for path in ("/long_dummy", *OTHERS)]
    assert result["headers"] == [["connection", "host", "x-request-id"]]


def test_other_pages_are_not_cached(image: Path) -> None:
    """Not even where the application lets all of its answers be kept."""
    result = run_scenario(image, spellings.other_pages)
    assert len(set(result["pages"])) == 4
    assert result["cached"] == [False] * 3
    assert len(set(result["long"])) == 1


def test_writes_do_not_delay_reads_of_the_cached_page(image: Path) -> None:
    result = run_scenario(image, spellings.writes)
    assert result["status"] == 200
    assert result["waited"] < 3 + 2
    assert result["writes"] == [[405, "GET, HEAD"]] * 21
    assert result["seen"] == ["balancer GET /long_dummy"]


def test_strange_requests_of_one_client_delay_no_other(image: Path) -> None:
    """It takes longer than an answer is served; bingo takes 4 s, and ten requests come a second."""
    result = run_scenario(image, spellings.strange_requests, headers=STRANGE)
    assert {status for status, _, _ in result["load"]} == {200}
    slow = [seconds for _, _, seconds in result["load"] if seconds > WAITED]
    print(f"{len(result['load'])} asked, {len(slow)} waited, {result['fetches']} fetches")  # noqa: T201
    assert slow == []
    assert result["fetches"] <= 5
