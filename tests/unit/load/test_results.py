"""The pure parts of a load: schedules, quantiles, objectives, checks of an answer."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import islice, takewhile
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.core.output import to_plain
from samovar.load.client import Answer, Target
from samovar.load.generator import Load
from samovar.load.requests import evenly, mixed, poisson, portion
from samovar.load.results import Outcome, figures, longest_gap, quantile
from samovar.load.slo import AGELESS, CACHED, STALE, STILL_THERE, age, failure, from_cache
from samovar.project.load_profile import Step, load_profile
from tests.support.checkout import ROOT

LOADS = ROOT / "loads"
TERMS = load_profile(LOADS, "terms")
DATABASE, MOVIE, LONG, CREATE, SESSIONS = map(
    TERMS.endpoint,
    ("GET /db_dummy", "GET /api/movie/{id}", "GET /long_dummy", "POST /api/session", "GET /api/session"),
)
ANY_SUCCESS = Step(request=MOVIE.request)
RATES = st.floats(0.5, 500)
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@given(RATES)
def test_an_even_schedule_is_the_rate(rate: float) -> None:
    times = list(islice(evenly(rate), 200))
    assert times[0] == 0
    assert times == pytest.approx([number / rate for number in range(200)])


@given(RATES, st.integers())
def test_poisson_arrivals_have_the_rate_on_average_and_follow_the_seed(rate: float, seed: int) -> None:
    times = list(islice(poisson(rate, seed), 2000))
    assert times == list(islice(poisson(rate, seed), 2000)) == sorted(times)
    assert 0.8 < 2000 / rate / times[-1] < 1.25


@given(st.dictionaries(st.integers(), st.floats(0.01, 1), min_size=1, max_size=8), st.integers(1, 500))
def test_mixed_is_close_to_the_weights(weights: dict[int, float], length: int) -> None:
    counts = Counter(islice(mixed(weights), length))
    for name, weight in weights.items():
        assert abs(counts[name] - length * weight / sum(weights.values())) < len(weights)


@given(st.floats(0, 1), st.integers(1, 500))
def test_portion_is_within_one_of_its_share(share: float, length: int) -> None:
    assert abs(sum(islice(portion(share), length)) - share * length) <= 1


@given(st.lists(st.floats(0, 60)), st.integers(0, 50), st.floats(0.01, 1))
def test_quantile_counts_failures_as_slowest(seconds: list[float], failed: int, share: float) -> None:
    latency = quantile(sorted(seconds), failed, share)
    everything = [*seconds, *[inf] * failed]
    if latency is None:
        assert not everything or sum(value < inf for value in everything) < share * len(everything) + 1e-6
    else:
        assert sum(value <= latency for value in everything) >= share * len(everything) - 1e-6
        assert sum(value < latency for value in everything) < share * len(everything) + 1e-6


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 5), st.booleans())))
def test_longest_gap_lies_within_the_load(requests: list[tuple[float, float, bool]]) -> None:
    outcomes = [Outcome("GET /", due, 0, took, "" if good else "timeout") for due, took, good in requests]
    gap = longest_gap(outcomes, 65)
    good = sorted(outcome.end for outcome in outcomes if not outcome.failure)
    assert gap <= 65
    assert gap >= 65 / (len(good) + 1) - 1e-9
    if not good:
        assert gap == 65


def of(endpoint: str, seconds: float, failure: str = "") -> Outcome:
    return Outcome(endpoint, 0.0, 0.0, seconds, failure)


def test_an_objective_is_met_up_to_its_limit() -> None:
    swift, slow = [of(MOVIE.request, 0.4)] * 90, [of(MOVIE.request, 3.0)] * 10
    assert figures(MOVIE, swift + slow).meets_slo()
    assert not figures(MOVIE, swift + slow).meets_slo(0.5)
    assert not figures(MOVIE, swift[1:] + slow + slow[:1]).meets_slo()


def test_one_request_of_a_hundred_may_fail() -> None:
    fine = [of(CREATE.request, 5.0)] * 98
    bad = of(CREATE.request, 0.1, "HTTP 500")
    assert figures(CREATE, [*fine, of(CREATE.request, 5.0), bad]).meets_slo()
    assert not figures(CREATE, [*fine, bad, bad]).meets_slo()
    assert figures(SESSIONS, [of(SESSIONS.request, 19.0)] * 19 + [of(SESSIONS.request, 20.0, "timeout")]).meets_slo()


def test_an_objective_is_not_judged_without_requests() -> None:
    assert figures(MOVIE, [of(CREATE.request, 0.1)]).slo_met is None


def test_figures_are_the_endpoints_own_and_have_a_documented_shape() -> None:
    outcomes = [of(MOVIE.request, 0.1), of(MOVIE.request, 5.0, "timeout"), of(CREATE.request, 9.0)]
    assert to_plain(figures(MOVIE, outcomes)) == {
        "endpoint": "GET /api/movie/{id}",
        "sent": 2,
        "ok": 1,
        "errors": {"timeout": 1},
        "p50_seconds": 0.1,
        "p90_seconds": None,
        "p99_seconds": None,
        "max_seconds": 5.0,
        "slo": {"errors": 0.01, "quantile": 0.9, "seconds": 0.4, "measured_seconds": None},
        "slo_met": False,
    }


@given(st.sampled_from(["peak", "stable", "terms"]), RATES)
def test_a_profile_sends_as_many_requests_as_its_rate(name: str, rate: float) -> None:
    arrivals = Load(load_profile(LOADS, name), (Target(""),), rate, 60).arrivals()
    requests = sum(len(flow.steps) for _, flow in takewhile(lambda arrival: arrival[0] < 2, arrivals))
    assert requests == pytest.approx(rate * 2, abs=len(TERMS.flows) + 4)


@pytest.mark.parametrize(
    ("headers", "cached"),
    [
        ({}, False),
        ({"x-cache": "MISS"}, False),
        ({"x-cache": "HIT"}, True),
        ({"x-cache": "hit from edge"}, True),
        ({"x-cache": "STALE"}, True),
        ({"age": "0"}, False),
        ({"age": "7"}, True),
        ({"cache-status": "edge; hit"}, True),
        ({"cache-status": "edge; fwd=miss"}, False),
        ({"cache-status": "white-list; fwd=miss; detail=no-hit, shield; hit"}, True),
        ({"cache-status": "white-list; fwd=miss; detail=no-hit"}, False),
    ],
)
def test_from_cache_reads_the_headers_of_caches(headers: dict[str, str], cached: bool) -> None:  # noqa: FBT001
    assert from_cache(headers) is cached
    assert failure(MOVIE, ANY_SUCCESS, Answer(200, headers), 0.1, NOW) == (CACHED if cached else "")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"date": "nonsense"}, None),
        ({"age": "12"}, 12),
        ({"date": "Thu, 01 Jan 2026 11:59:30 GMT"}, 30),
        ({"date": "Thu, 01 Jan 2026 11:59:30 GMT", "age": "45"}, 45),
    ],
)
def test_an_answers_age_is_the_greatest_that_its_headers_give(headers: dict[str, str], seconds: float | None) -> None:
    assert age(headers, NOW) == seconds


def test_a_cached_answer_has_an_age_and_is_at_most_a_minute_old() -> None:
    assert failure(LONG, ANY_SUCCESS, Answer(200, {"age": "60", "x-cache": "HIT"}), 0.1, NOW) == ""
    assert failure(LONG, ANY_SUCCESS, Answer(200, {"age": "62"}), 0.1, NOW) == STALE
    assert failure(LONG, ANY_SUCCESS, Answer(200, {}), 0.1, NOW) == AGELESS
    assert failure(LONG, ANY_SUCCESS, Answer(503, {}), 0.1, NOW) == "HTTP 503"


def test_an_answer_faster_than_min_seconds_came_from_a_cache() -> None:
    assert failure(DATABASE, ANY_SUCCESS, Answer(200), 0.02, NOW) == CACHED
    assert failure(DATABASE, ANY_SUCCESS, Answer(200), 0.11, NOW) == ""
    absent = Step(request=DATABASE.request, absent=True)
    assert failure(DATABASE, absent, Answer(200, body=b"[]"), 0.02, NOW) == "", "what is not there is found sooner"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(404), ""),
        (Answer(410), ""),
        (Answer(200, body=b"[]"), ""),
        (Answer(200, body=b'{"id": 1}'), STILL_THERE),
        (Answer(200, body=b"a page"), STILL_THERE),
        (Answer(500), "HTTP 500"),
    ],
)
def test_each_way_to_answer_for_a_deleted_row_counts_as_deleted(answer: Answer, why: str) -> None:
    assert failure(MOVIE, Step(request=MOVIE.request, absent=True), answer, 0.1, NOW) == why


def test_a_step_without_a_status_takes_every_success() -> None:
    assert failure(MOVIE, ANY_SUCCESS, Answer(204), 0.1, NOW) == ""
    assert failure(MOVIE, ANY_SUCCESS, Answer(404), 0.1, NOW) == "HTTP 404"
    assert failure(MOVIE, Step(request=MOVIE.request, status=200), Answer(204), 0.1, NOW) == "HTTP 204"
