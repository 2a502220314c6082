"""Which rows there are to be asked for, found out through the service: a small database has a hundredth."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from samovar.core.errors import CloudError
from samovar.core.program import command_line
from samovar.load.client import Client, Request, Unanswered
from samovar.load.slo import CREATE, GONE, LISTS_EVERY, OK, OPERATE, OPERATION, Endpoint

ALL = {"movie": 29_022, "customer": 500_000, "session": 5_000_000}
TRIES = 5


@dataclass(frozen=True)
class Rows:
    """Of each table the rows 1 to `counts` are there. Draws are the same for the same seed."""

    counts: Mapping[str, int]
    dice: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - no secret

    def draw(self, table: str) -> int:
        """The id of a row."""
        return self.dice.randint(1, self.counts[table])

    def request(self, endpoint: Endpoint, row: int | None = None) -> Request:
        """One that asks that row, or one at random."""
        table = endpoint.path.rpartition("/api/")[2].partition("/")[0]
        path = re.sub("{id}", lambda _: str(row or self.draw(table)), endpoint.path)
        return Request(endpoint.method, path, endpoint.timeout, self._document(endpoint))

    def _document(self, endpoint: Endpoint) -> Mapping[str, Any] | None:
        if endpoint == CREATE:
            return {"customer_id": self.draw("customer"), "movie_id": self.draw("movie")}
        return {"operation": OPERATION} if endpoint == OPERATE else None


async def find_rows(client: Client) -> Rows:
    """From the full number downwards, halved until that row is there. CloudError where the service cannot tell."""
    return Rows({table: await _count(client, table, full) for table, full in ALL.items()})


async def _count(client: Client, table: str, full: int) -> int:
    row = full
    while row and not await _is_there(client, f"/api/{table}/{row}"):
        row //= 2
    if not row:
        raise CloudError(f"/api/{table} has no rows to ask for", remedy="seed the database before it is put under load")
    return row


async def _is_there(client: Client, path: str) -> bool:
    """Asks again where the service fails: it may be about to mend itself."""
    last = ""
    for _ in range(TRIES):
        try:
            answer = await client.send(Request("GET", path, LISTS_EVERY), fresh=True)
        except Unanswered as error:
            last = str(error)
            continue
        if answer.status in (OK, GONE):
            return answer.status == OK
        last = f"HTTP {answer.status}"
    raise CloudError(
        f"GET {path}: {last}, {TRIES} times in a row", remedy=f"see `{command_line('status')}` and the machines' logs"
    )
