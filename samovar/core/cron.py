"""Cron expressions of snapshot schedules: five fields in UTC, or a name such as `@daily`.

Source of the form: Yandex Cloud's snapshot_schedule.proto, and crontab(5) to which its documentation refers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

NAMED: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
FIELDS = 5


def check_cron(expression: str) -> None:
    """Raise ValueError, which shows a correct expression, where this one is invalid or never matches."""
    _matches(expression, datetime.fromtimestamp(0, UTC))


def next_match(expression: str, after: datetime) -> datetime | None:
    """Return the first moment after `after`, which is in UTC; None where there never is one. Raises ValueError."""
    return next(_matches(expression, after), None)


def _matches(expression: str, after: datetime) -> CronSim:
    fields = NAMED.get(expression.strip().lower(), expression).replace("?", "*")
    if len(fields.split()) != FIELDS:
        raise ValueError(
            f"a cron expression has five fields (minute, hour, day of the month, month, day of the week) or is one "
            f"of {', '.join(sorted(NAMED))}; not {expression!r}"
        )
    try:
        return CronSim(fields, after)
    except CronSimError as error:
        wrong = str(error).removeprefix("Bad ")
        raise ValueError(f"{wrong} is wrong in the cron expression {expression!r}; such as `0 3 * * *`") from error
