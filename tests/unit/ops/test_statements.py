"""The statements of PostgreSQL, out of the answers of Prometheus."""

from __future__ import annotations

import json
from collections.abc import Mapping

from samovar.ops.statements import Statement, statement_query, top_statements

SLOW = {"instance": "rows-1", "datname": "shop", "user": "shop", "query": "SELECT pg_sleep($1)"}
OFTEN = {**SLOW, "query": "SELECT $1"}
IDLE = {**SLOW, "query": "SELECT now()"}
VALUES = {
    "seconds": ((OFTEN, "0.5"), (SLOW, "2.4"), (IDLE, "0")),
    "calls": ((OFTEN, "1000"), (SLOW, "2"), (IDLE, "0")),
    "rows": ((OFTEN, "1000"), (SLOW, "2"), (IDLE, "0")),
}


class Recorded:
    """Prometheus with two statements that were executed in the window, and one that was not."""

    def text(self, path: str, query: Mapping[str, str]) -> str:
        assert path == "/api/v1/query"
        (samples,) = (series for part, series in VALUES.items() if statement_query(part, 60) == query["query"])
        rows = [{"metric": labels, "value": [1.5, value]} for labels, value in samples]
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}})


def test_statements_are_sorted_by_the_time_that_they_took() -> None:
    statements = top_statements(Recorded(), "dev", 60)
    assert (statements.environment, statements.seconds) == ("dev", 60)
    assert statements.statements == (
        Statement("rows-1", "shop", "shop", 2, 2.4, 1.2, 2, "SELECT pg_sleep($1)"),
        Statement("rows-1", "shop", "shop", 1000, 0.5, 0.0005, 1000, "SELECT $1"),
    )
