"""Cron expressions: when the next moment is, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from samovar.core.cron import check_cron, next_match

NOW = datetime(2026, 11, 26, 9, 15, 30, tzinfo=UTC)
"""A Thursday."""


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", datetime(2026, 11, 26, 9, 16, tzinfo=UTC)),
        ("15 9 * * *", datetime(2026, 11, 27, 9, 15, tzinfo=UTC)),
        ("*/20 * * * *", datetime(2026, 11, 26, 9, 20, tzinfo=UTC)),
        ("0 1,13 * * *", datetime(2026, 11, 26, 13, 0, tzinfo=UTC)),
        ("0 3 * * sun", datetime(2026, 11, 29, 3, 0, tzinfo=UTC)),
        ("0 3 * * 7", datetime(2026, 11, 29, 3, 0, tzinfo=UTC)),
        ("0 0 1 * fri", datetime(2026, 11, 27, 0, 0, tzinfo=UTC)),
        ("0 0 29 feb *", datetime(2028, 2, 29, 0, 0, tzinfo=UTC)),
        ("30 2 1-7 1 *", datetime(2027, 1, 1, 2, 30, tzinfo=UTC)),
        ("@daily", datetime(2026, 11, 27, 0, 0, tzinfo=UTC)),
        ("@hourly", datetime(2026, 11, 26, 10, 0, tzinfo=UTC)),
    ],
)
def test_the_next_moment(expression: str, expected: datetime) -> None:
    assert next_match(expression, NOW) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "five fields"),
        ("0 3 * *", "five fields"),
        ("@never", "@daily"),
        ("60 0 * * *", "minute is wrong in the cron expression '60 0 \\* \\* \\*'"),
        ("0 0 * xyz *", "month is wrong"),
        ("*/0 * * * *", "minute is wrong"),
        ("0 0 31 2 *", "day-of-month is wrong"),
        ("0 0 0 * *", "day-of-month is wrong"),
    ],
)
def test_an_invalid_expression_is_refused_with_a_correct_one(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_cron(expression)
