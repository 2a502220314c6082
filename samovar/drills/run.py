"""The engine of drills: a steady state before, the fault under load, the recovery, and a steady state after."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from dataclasses import dataclass, replace

from samovar.cloud.session import Session
from samovar.core.errors import CloudError, WaitTimeout, command_line
from samovar.core.output import Reporter
from samovar.core.waiting import Pending, wait_for, wait_for_async
from samovar.drills.actions import restore_all
from samovar.drills.alerts import fired_since
from samovar.drills.faults import Fault
from samovar.drills.journal import Journal
from samovar.drills.recovery import Recovery, Snapshot, Watch, steady, take_snapshot, watch_recovery
from samovar.drills.report import DrillReport, Observed, interactive, report
from samovar.load.generator import Load, Run
from samovar.load.report import send_with_progress
from samovar.load.results import Outcome
from samovar.load.slo import answers_well
from samovar.ops.metrics import prometheus
from samovar.project.drill import Drill
from samovar.project.environment import Environment

MARGIN = 2.0
"""Seconds of load before the fault, and after the recovery."""
STEADY_TIMEOUT = 60.0
"""Seconds in which an environment must be in a steady state before it is broken."""
MAX_SECONDS = 900.0
"""Seconds of load at most."""


@dataclass(frozen=True)
class Drilled:
    """A drill that has ended: its report, and the requests that were sent; `began` is the time of the fault."""

    report: DrillReport
    outcomes: tuple[Outcome, ...]
    began: float


def run_drill(
    session: Session,
    environment: Environment,
    load: Load,
    drill: Drill,
    fault: Fault,
    journal: Journal,
    reporter: Reporter,
) -> Drilled:
    """Cause the drill's fault under the load, put back what it broke, and report the recovery.

    Whatever ends the drill, what it broke is put back; if that fails, or the process is killed, the journal keeps it.
    Raises CloudError if the environment does not answer well to begin with, or the fault cannot be caused.
    """
    engine = _Engine(session, environment, load, fault, journal, reporter, drill.timeout)
    try:
        with reporter.step(f"{load.rate:g} requests a second to {environment.name}"):
            run = asyncio.run(send_with_progress(load, reporter, engine.work))
    finally:
        engine.put_back()
    assert engine.observed  # noqa: S101 - the work has ended
    server = prometheus(session, environment) if environment.monitoring else None
    observed = replace(engine.observed, fired=fired_since(engine.began, drill, server, reporter))
    measured = report(environment.name, drill, fault.summary, load, run.outcomes, observed)
    return Drilled(measured, tuple(run.outcomes), observed.began)


def prove_steady(session: Session, environment: Environment) -> None:
    """Wait until the environment is healthy. Raises CloudError if it is not in STEADY_TIMEOUT seconds."""
    try:
        wait_for(f"a steady state of {environment.name}", lambda: steady(session, environment), timeout=STEADY_TIMEOUT)
    except WaitTimeout as error:
        remedy = (
            f"see `{command_line(f'status {environment.name}')}`, then {command_line(f'rollout {environment.name}')}"
        )
        raise CloudError(f"{environment.name} is not healthy: {error.message}", remedy=remedy) from error


class _Engine:
    """One drill under way."""

    def __init__(
        self,
        session: Session,
        environment: Environment,
        load: Load,
        fault: Fault,
        journal: Journal,
        reporter: Reporter,
        timeout: float,
    ) -> None:
        self.observed: Observed | None = None
        self.began = math.nan
        self._session = session
        self._environment = environment
        self._fault = fault
        self._journal = journal
        self._reporter = reporter
        self._timeout = timeout
        self._endpoints = interactive(load)
        self._cancelled = threading.Event()
        self._broken_at: float | None = None

    async def work(self, run: Run) -> None:
        """Break the environment while `run` goes on, and return when it answers well again."""
        await asyncio.sleep(MARGIN)
        if not await self._answers_well(run, STEADY_TIMEOUT):
            raise CloudError(
                f"{self._environment.name} does not answer well before anything is broken",
                remedy=f"see `{command_line(f'load {self._environment.name}')}`",
            )
        before = await asyncio.to_thread(self._snapshot)
        self.began = time.monotonic()
        recovery = await self._break_and_watch(before, self.began)
        await asyncio.sleep(MARGIN)
        self.observed = Observed(self.began - run.began, recovery, await self._answers_well(run, self._timeout))

    def put_back(self) -> None:
        """Put back what is broken still."""
        self._cancelled.set()
        for breakage in restore_all(self._session, self._journal):
            self._reporter.info(f"{breakage.name}: put back ({breakage.fault})")

    async def _break_and_watch(self, before: Snapshot, began: float) -> Recovery:
        fault = self._fault
        if fault.hold is not None:
            self._journal.write(fault.breakages)
        watch = Watch(before, put_back=fault.hold is not None)
        watching = asyncio.create_task(asyncio.to_thread(self._watch, watch, began))
        try:
            await fault.cause(self._session)
            self._broken_at = time.monotonic() - began
            self._reporter.info(fault.summary)
            return await watching
        finally:
            self._cancelled.set()

    def _watch(self, watch: Watch, began: float) -> Recovery:
        return watch_recovery(
            self._snapshot,
            watch,
            began,
            self._timeout,
            hold=self._fault.hold,
            broken_at=lambda: self._broken_at,
            restore=self._restore,
            stopped=self._cancelled.is_set,
        )

    def _restore(self) -> None:
        restore_all(self._session, self._journal)
        self._reporter.info("put back")

    def _snapshot(self) -> Snapshot:
        return take_snapshot(self._session, self._environment, self._fault)

    async def _answers_well(self, run: Run, timeout: float) -> bool:
        """Wait until the service answers well; returns False if it does not in `timeout` seconds."""
        now = asyncio.get_running_loop().time

        def well() -> bool | Pending:
            elapsed = now() - run.began
            return answers_well(run.outcomes, run.waiting.values(), self._endpoints, elapsed, MARGIN) or Pending("no")

        try:
            return await wait_for_async("the service to answer well", well, timeout=timeout)
        except WaitTimeout:
            return False
