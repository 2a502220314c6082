"""The size of a group that is scaled by load: the documentation's examples, and the bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.localcloud.compute.instance_groups.autoscale import Load, Rules, Scaled, average, needed, next_size

RULES = Rules(target=80, smallest=1, largest=10, measurement=60, stabilization=300)


def loads(*percents: float | None, zone: str = "a") -> list[Load]:
    return [Load(zone, percent) for percent in percents]


@pytest.mark.parametrize(
    ("target", "percents", "size"),
    [
        (80, (70, 70, 70, 70), 4),  # one less would have 93.3
        (80, (60, 60, 60, 60), 3),
        (75, (90, 75, 85, None), 5),  # the last one starts, and counts with the others' average
        (75, (None, None), 9),
        (50, (0, 0, 0), 0),
    ],
)
def test_the_examples_of_the_documentation(target: float, percents: tuple[float | None, ...], size: int) -> None:
    assert needed(replace(RULES, target=target), loads(*percents), size=9) == size


def test_the_machines_that_an_update_adds_ask_for_no_more() -> None:
    assert needed(RULES, loads(75, 75, None), size=3) == 3
    assert needed(RULES, loads(75, 75, None), size=2) == 2
    assert needed(RULES, loads(None, None, None), size=2) == 2


def test_each_zone_counts_by_itself_where_the_group_scales_by_zone() -> None:
    uneven = [*loads(100, 100, zone="a"), *loads(10, None, zone="b")]
    assert needed(RULES, uneven, 4) == 4  # 70% on average
    assert needed(replace(RULES, zonal=True), uneven, 4) == 3 + 1


def test_after_a_change_the_load_is_measured_anew() -> None:
    busy = loads(100, 100)
    scaled = Scaled(2, changed_at=1000, grew_at=1000)
    assert next_size(RULES, busy, scaled, 1059) == 2
    assert next_size(RULES, busy, scaled, 1060) == 3


def test_a_group_does_not_shrink_for_a_while_after_it_grew_and_may_grow_meanwhile() -> None:
    scaled = Scaled(4, changed_at=1000, grew_at=1000)
    assert next_size(RULES, loads(1, 1, 1, 1), scaled, 1299) == 4
    assert next_size(RULES, loads(100, 100, 100, 100), scaled, 1299) == 5
    assert next_size(RULES, loads(1, 1, 1, 1), scaled, 1300) == 1
    assert next_size(RULES, loads(1, 1, 1, 1), replace(scaled, grew_at=0), 1060) == 1


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=20),
    st.integers(1, 5),
    st.integers(0, 20),
    st.integers(10, 100),
)
def test_the_size_is_in_its_bounds_and_keeps_the_target(
    percents: list[float | None], smallest: int, more: int, target: int
) -> None:
    rules = replace(RULES, target=target, smallest=smallest, largest=smallest + more)
    size = next_size(rules, loads(*percents), Scaled(smallest), now=10_000)
    assert smallest <= size <= smallest + more
    measured = [percent for percent in percents if percent is not None]
    if measured and size < rules.largest:
        assert sum(measured) <= size * target + 0.01


def test_recent_samples_weigh_more_and_older_than_the_period_nothing() -> None:
    samples = [(10.0 * number, float(number)) for number in range(1, 7)]
    mean = average(samples, 60, 60)
    assert mean is not None
    assert 5 < mean < 6
    assert average([(30, 50)], 60, 60) == pytest.approx(50)
    assert average([(0, 100), (1, 20)], 60, 60) == pytest.approx(20)
    assert average([], 60, 60) is None
