"""Cron expressions of snapshot schedules: five fields in UTC, or a name such as `@daily`. Pure.

Source of the form: Yandex Cloud's snapshot_schedule.proto, and crontab(5) to which its documentation refers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

NAMED: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SUNDAY = 7
"""Sunday's second number."""
HORIZON = 8 * 366
"""Days after which an expression is known never to match: between two 29ths of February lie eight years at most."""


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        if text.lower() in self.words:
            return self.words.index(text.lower()) + self.low
        if text.isdecimal() and self.low <= int(text) <= self.high:
            return int(text)
        raise ValueError(f"{self.name} is a number from {self.low} to {self.high}, not {text!r}")

    def values(self, text: str) -> frozenset[int]:
        return frozenset(value for item in text.split(",") for value in self._item(item))

    def _item(self, item: str) -> range:
        span, slash, step = item.partition("/")
        if slash and (not step.isdecimal() or not int(step)):
            raise ValueError(f"{self.name} has steps of a whole number, not {step!r}")
        if span in {"*", "?"}:
            first, last = self.low, self.high
        else:
            low, dash, high = span.partition("-")
            first = self.number(low)
            last = self.number(high) if dash else self.high if slash else first
        return range(first, last + 1, int(step or 1))


FIELDS = (
    _Field("the minute", 0, 59),
    _Field("the hour", 0, 23),
    _Field("the day of the month", 1, 31),
    _Field("the month", 1, 12, MONTHS),
    _Field("the day of the week", 0, SUNDAY, WEEKDAYS),
)


@dataclass(frozen=True)
class Cron:
    """The moments that an expression matches. Where both kinds of day are restricted, one of the two is enough."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first match after a moment, which is in UTC; None where there never is one."""
        for offset in range(HORIZON):
            day = moment.date() + timedelta(days=offset)
            if self._matches(day):
                for match in self._times(day, moment):
                    return match
        return None

    def _times(self, day: date, after: datetime) -> Iterator[datetime]:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                match = datetime(day.year, day.month, day.day, hour, minute, tzinfo=after.tzinfo)
                if match > after:
                    yield match

    def _matches(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_day and by_weekday
        return by_day or by_weekday


def parse_cron(expression: str) -> Cron:
    """Return what an expression matches. Raises ValueError with what is right instead."""
    parts = NAMED.get(expression.strip().lower(), expression).split()
    if len(parts) != len(FIELDS):
        names = ", ".join(sorted(NAMED))
        raise ValueError(
            f"a cron expression has five fields (minute, hour, day of the month, month, day of the week) or is one "
            f"of {names}; not {expression!r}"
        )
    minutes, hours, days, months, weekdays = (field.values(part) for field, part in zip(FIELDS, parts, strict=True))
    return Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % SUNDAY for day in weekdays),
        any_day=parts[2].startswith(("*", "?")),
        any_weekday=parts[4].startswith(("*", "?")),
    )
