"""The routes of an edge by the very nginx and HAProxy of its image, with settings that no application here has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.edge import edge_image, run_scenario
from tests.support.edge_scenarios import routes as scenario

UPSTREAMS = {name: {"address": f"{address}:81"} for name, address in (("web", "127.0.0.2"), ("search", "127.0.0.3"))}
ROUTES: list[dict[str, Any]] = [
    {"path": "/search", "upstream": "search"},
    {"path": "/items/:id", "methods": ["GET", "PUT"], "upstream": "web"},
    {"path": "/small", "body": "1k", "upstream": "web"},
    {"path": "/pages/", "cache": {"fresh": 60}, "upstream": "web", "host": "pages.example"},
    {"path": "/found", "cache": {"fresh": 60, "query": True}, "upstream": "web"},
    {"path": "/slow/", "cache": {"fresh": 60}, "upstream": "web"},
    {"path": "/broken/once", "retry": False, "upstream": "web"},
    {"regex": "^/(broken|searching)", "name": "/broken-or-searching", "upstream": "web"},
    {"path": "/cookies/:size", "upstream": "web"},
    {"regex": "^/$", "name": "front-page", "upstream": "web"},
]


@pytest.fixture(scope="module")
def result() -> Any:
    return run_scenario(edge_image(), scenario.routes, settings={"upstreams": UPSTREAMS, "routes": ROUTES})


def test_requests_go_to_the_upstream_of_their_route(result: Any) -> None:
    assert result["upstreams"] == ["search", "search", 404, "web", "web"]
    assert result["unknown"] == 404
    assert result["hosts"] == ["web GET /pages/a pages.example", "search GET /search/ 127.0.0.1"]


def test_other_methods_and_larger_bodies_than_those_of_the_route_are_refused(result: Any) -> None:
    assert result["methods"] == [[200, None], [200, None], [405, "GET, PUT"]]
    assert result["bodies"] == [413, 200]


def test_a_cache_has_an_answer_for_a_path_or_for_a_query(result: Any) -> None:
    first, same, other, without, last = result["cached"]
    assert first == same == without == last != other
    one, two, again = result["by_query"]
    assert one == again != two


def test_each_path_of_a_cached_route_is_fetched_once_and_beside_others(result: Any) -> None:
    assert result["slow"] == [200] * 12
    assert result["fetched"] == [f"web GET /slow/{number} web" for number in range(4)]
    assert result["seconds"] < 4 * 1.5


def test_requests_without_an_answer_are_repeated_unless_the_route_forbids_it(result: Any) -> None:
    (once, asked), (again, repeated) = result["broken"]
    assert (once, again) == (502, 502)
    assert asked == 1 < repeated


def test_an_answer_may_have_headers_of_as_much_as_the_proxies_hold(result: Any) -> None:
    assert result["long headers"] == [200, 200]


def test_the_log_has_the_name_of_the_route(result: Any) -> None:
    assert (
        result["names"].items()
        >= {
            "/search/": "/search",
            "/items/7": "/items/:id",
            "/small": "/small",
            "/pages/a?x=1": "/pages/",
            "/broken/again": "/broken-or-searching",
            "/": "front-page",
            "/other": "",
        }.items()
    )
