"""The cache of an edge: one entry for one path however it is spelled, never older than a minute, and always warm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.edge import RunningScenario, Scenario, edge_image, run_scenario, running_scenario
from tests.support.edge_scenarios import cache

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
LAST = 57
"""Seconds after which an answer of /long_dummy is served no more."""


@pytest.fixture(scope="module")
def image() -> Path:
    return edge_image()


@pytest.fixture(scope="module", autouse=True)
def long_scenarios(image: Path) -> Iterator[dict[Scenario, RunningScenario]]:
    """The scenarios that outlast an answer of the cache: a minute and more of waiting, so all begin with the module."""
    arguments: dict[Scenario, dict[str, Any]] = {
        cache.long_dummy: {},
        cache.warm_without_clients: {},
        cache.strange_requests: {"headers": STRANGE},
    }
    with ExitStack() as stack:
        yield {each: stack.enter_context(running_scenario(image, each, **given)) for each, given in arguments.items()}


def test_all_spellings_share_one_answer_whatever_the_headers(image: Path) -> None:
    result = run_scenario(image, cache.shared_answer, headers=STRANGE, others=OTHERS)
    assert result["first"] in {200, 206}
    assert all(result["hits"]), result["hits"]
    assert result["bodies"] == 1
    assert result["head"] == [200]
    assert result["seen"].count("balancer GET /long_dummy") == 1
    assert result["seen"] == [f"balancer GET {path}" for path in ("/long_dummy", *OTHERS)]
    assert result["headers"] == [["connection", "host", "x-request-id"]]


def test_other_pages_are_not_cached(image: Path) -> None:
    """Not even where the application lets all of its answers be kept."""
    result = run_scenario(image, cache.other_pages)
    assert len(set(result["pages"])) == 4
    assert result["cached"] == [False] * 3
    assert len(set(result["long"])) == 1


def test_writes_do_not_delay_reads_of_the_cached_page(image: Path) -> None:
    result = run_scenario(image, cache.writes)
    assert result["status"] == 200
    assert result["waited"] < 3 + 2
    assert result["writes"] == [[405, "GET, HEAD"]] * 21
    assert result["seen"] == ["balancer GET /long_dummy"]


def test_strange_requests_of_one_client_delay_no_other(long_scenarios: dict[Scenario, RunningScenario]) -> None:
    """It takes longer than an answer is served; bingo takes 4 s, and ten requests come a second."""
    result = long_scenarios[cache.strange_requests].result()
    assert {status for status, _, _ in result["load"]} == {200}
    slow = [seconds for _, _, seconds in result["load"] if seconds > WAITED]
    print(f"{len(result['load'])} asked, {len(slow)} waited, {result['fetches']} fetches")  # noqa: T201
    assert slow == []
    assert result["fetches"] <= 5


def test_long_dummy_is_fetched_one_at_a_time_and_never_older_than_a_minute(
    long_scenarios: dict[Scenario, RunningScenario],
) -> None:
    """Takes more than a minute, which is the point: the second answer takes so long that the first one gets too old.

    nginx counts in whole seconds, so the old answer ends between 56 and 57 s: what was asked before 55 s cannot wait.
    """
    result = long_scenarios[cache.long_dummy].result()
    assert result["at_once"] == [[200] * 20, 1]
    assert result["fetched"] == 2
    assert {answer[2] for answer in result["answers"]} == {200}
    assert 50 < max(answer[3] for answer in result["answers"]) < 60
    early = [answer for answer in result["answers"] if answer[0] < 55]
    assert max(answer[1] for answer in early) < 5
    assert {answer[4]["x-cache"] for answer in early} >= {"HIT", "UPDATING"}
    assert max(answer[1] for answer in result["answers"]) > 3
    for _, _, _, age, headers in result["answers"]:
        assert abs(int(headers["age"]) - age) < 3
        assert headers["cache-control"] == "no-store"
    assert result["ping"] == 3
    assert result["others"]


def test_the_cache_is_kept_warm_without_clients(long_scenarios: dict[Scenario, RunningScenario]) -> None:
    """It takes longer than an answer is served, with a bingo as slow as it may be, and the only request comes last."""
    result = long_scenarios[cache.warm_without_clients].result()
    status, waited, age, stated_age = result["answer"]
    assert status == 200
    assert waited < 5
    assert max(age, stated_age) < 60
    assert len(result["fetches"]) >= 2
    for (_, first), (began, second) in pairwise(result["fetches"]):
        assert began >= first
        assert second - first < LAST
