"""The list of all sessions with the real numbers of rows, step by step from PostgreSQL as it comes to ours.

On a machine of its own with the image `postgres` and the size that the production environment gives it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from samovar.core.constants import MIB
from samovar.core.output import PlainReporter
from samovar.images.builders.local import bake_local
from samovar.localcloud.machines.model import Machine
from tests.bench.figure import Figure, seconds
from tests.support.checkout import PROJECT, ROOT
from tests.support.machine_lab import BridgedLab, bridged_lab

RUNS = 3
MEMORY = 2048
QUERY = (
    "SELECT * FROM sessions JOIN movies ON movies.id = sessions.movie_id"
    " JOIN customers ON customers.id = sessions.customer_id"
    " ORDER BY movies.year DESC, movies.name, customers.id, sessions.id DESC LIMIT 100000"
)
OF_MEMORY = ("shared_buffers", "effective_cache_size", "work_mem", "maintenance_work_mem")
OF_THE_DISK = ("random_page_cost", "effective_io_concurrency")
OF_THE_PLANNER = ("enable_memoize", "jit")
OURS = (*OF_MEMORY, *OF_THE_DISK, *OF_THE_PLANNER)
INDEXES = ROOT / "images/postgres/indexes.sql"
SETTINGS = yaml.safe_dump(
    {
        **yaml.safe_load((ROOT / "groups/postgres.yaml").read_text())["settings"],
        "secrets": {"postgres_password": "a bench"},  # pragma: allowlist secret - made up
    }
)


def database() -> Iterator[Figure]:
    """Median and spread of RUNS, rows thrown away on the server; `first` is the one after a start without caches."""
    figures = _measured()
    with asyncio.Runner() as runner:
        while figure := runner.run(_next(figures)):
            yield figure


async def _next(figures: AsyncIterator[Figure]) -> Figure | None:
    return await anext(figures, None)


async def _measured() -> AsyncIterator[Figure]:
    (image,) = bake_local(PROJECT, ["postgres"], reporter=PlainReporter())
    with tempfile.TemporaryDirectory(prefix="samovar-bench-") as folder:
        async with bridged_lab(Path(folder)) as lab:
            raw = lab.with_role(image.raw, image.name, "10.0.0.11", SETTINGS)
            machine = lab.machine(
                "pg",
                raw,
                memory=MEMORY * MIB,
                cores=2,
                hostname="pg",
                disks=(lab.data_disk("pg-data", 8 << 30, "data"),),
            )
            await lab.driver.start(machine)
            await lab.wait_for_command(machine, "systemctl is-active --quiet postgres")
            async for figure in Steps(lab, machine).figures():
                yield figure


class Steps:
    """One after another, each on top of the last."""

    def __init__(self, lab: BridgedLab, machine: Machine) -> None:
        self._lab, self._machine = lab, machine

    async def figures(self) -> AsyncIterator[Figure]:
        names = self._sql("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'").split()
        self._sql(*(f"DROP INDEX {name}" for name in names), *map(self._as_it_comes, OURS))
        yield await self._figure("as it comes, without indexes")
        self._sql(*(f"ALTER SYSTEM RESET {name}" for name in OF_MEMORY))
        yield await self._figure("+ memory by the machine's size")
        plain = INDEXES.read_text().replace(" INCLUDE (start_time)", "")
        self._sql(*_statements(plain), "VACUUM ANALYZE")
        yield await self._figure("+ indexes, sessions by movie, customer and id")
        self._sql("DROP INDEX sessions_movie", _statements(INDEXES.read_text())[-1], "VACUUM ANALYZE")
        yield await self._figure("+ the start time in the index, so that no row is looked up")
        self._sql(*(f"ALTER SYSTEM RESET {name}" for name in OF_THE_DISK))
        yield await self._figure("+ costs of an SSD")
        self._sql(*(f"ALTER SYSTEM RESET {name}" for name in OF_THE_PLANNER))
        yield await self._figure("+ neither memoize nor jit: as shipped")

    async def _figure(self, what: str) -> Figure:
        self._inside("systemctl stop postgres")
        self._inside("find /data -type f -exec dd if={} iflag=nocache count=0 status=none ';'")
        self._inside("systemctl start postgres")
        first, *warm = [self._seconds() for _ in range(RUNS + 1)]
        return Figure(what, f"{seconds(warm)}, first {first:.2f} s", self._plan())

    def _seconds(self) -> float:
        output = self._sql(r"\timing on", f"COPY ({QUERY}) TO '/dev/null'")
        return float(output.rpartition("Time: ")[2].split()[0]) / 1000

    def _plan(self) -> str:
        """Return the nodes of a plan from the top down."""
        return " < ".join(_nodes(json.loads(self._sql(f"EXPLAIN (FORMAT JSON) {QUERY}"))[0]["Plan"]))

    def _as_it_comes(self, name: str) -> str:
        value = self._sql(f"SELECT boot_val FROM pg_settings WHERE name = '{name}'")  # noqa: S608 - our own names
        return f"ALTER SYSTEM SET {name} = '{value}'"

    def _sql(self, *statements: str) -> str:
        words = "\n".join(statement if statement.startswith("\\") else f"{statement};" for statement in statements)
        return self._inside(f"runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 bingo <<'SQL'\n{words}\nSQL")

    def _inside(self, command: str) -> str:
        return self._lab.inside(self._machine, command)


def _statements(text: str) -> Sequence[str]:
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]


def _nodes(plan: Any) -> Iterator[str]:
    yield plan["Node Type"].lower() + (f" {plan['Relation Name']}" if "Relation Name" in plan else "")
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
