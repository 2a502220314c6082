"""The statements that PostgreSQL spent its time on, as the metrics of an environment have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from samovar.ops.metrics import Prometheus, increase, query

METRIC = "pg_stat_statements"
BY = "instance, datname, user, query"
MOST = 20
"""The most statements that are shown."""
Key = tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """A statement, with $1 and alike in the place of values, and only its beginning where it is long.

    `seconds` is the time that all its `calls` took together, `mean` that of one.
    """

    machine: str
    database: str
    user: str
    calls: int
    seconds: float
    mean: float
    rows: int
    query: str

    @classmethod
    def of(cls, key: Key, calls: float, seconds: float, rows: float) -> Statement:
        """Return the statement of a key, rounded."""
        machine, database, user, text = key
        mean = round(seconds / calls, 4)
        return cls(machine, database, user, round(calls), round(seconds, 4), mean, round(rows), text)


@dataclass(frozen=True)
class Statements:
    """The statements of the last `seconds` that took most time, those first."""

    environment: str
    seconds: float
    statements: tuple[Statement, ...]


def top_statements(server: Prometheus, environment: str, seconds: float) -> Statements:
    """Return the statements that took most time in the last `seconds`. Raises CloudError."""
    spent, calls, rows = (_by_statement(server, part, seconds) for part in ("seconds", "calls", "rows"))
    longest = sorted((key for key in spent if calls.get(key)), key=lambda key: -spent[key])[:MOST]
    statements = (Statement.of(key, calls[key], spent[key], rows[key]) for key in longest)
    return Statements(environment, seconds, tuple(statements))


def statement_query(part: str, seconds: float) -> str:
    """Return the query for the `seconds`, `calls` or `rows` of a window by statement."""
    return f"sum by ({BY}) ({increase(f'{METRIC}_{part}_total', seconds)})"


def _by_statement(server: Prometheus, part: str, seconds: float) -> Mapping[Key, float]:
    series = query(server, statement_query(part, seconds))
    labels = BY.split(", ")
    return {tuple(each.labels.get(label, "") for label in labels): each.value or 0.0 for each in series}
