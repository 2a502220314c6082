"""`python3 -m samovar_watchdog` observes, decides and acts, twice a second, for ever."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path

from .actions import Actions
from .config import ALIAS, ALIVE, BALANCER, GROUP, READY, Config, read_config
from .policy import Limits, Verdict, decide, initial_state
from .probes import diagnose, last_run, machine_memory, observe
from .runs import FAILED, SUCCEEDED, Restarts, Runs, count
from .server import HealthServer

CONFIG = Path("/etc/application/watchdog.json")
RAN = Path("/var/lib/samovar-watchdog/ran")
"""It exists once the application was up on this machine."""
METRICS = Path("/run/samovar/metrics/watchdog.prom")
PERIOD, PERIOD_WITHOUT_PORT = 0.5, 2.0
HEALTH_PORT = 8101
EXPLAINED = 10.0, 600.0
"""The least and the most seconds between two lines that tell why the application is not well."""


def main() -> None:
    """Run for ever."""
    config = read_config(CONFIG.read_text(), ALIAS.resolve().name, machine_memory())
    health, actions, explain = HealthServer(HEALTH_PORT), Actions(config, log), Explanation(config)
    restarts, runs = Restarts(METRICS, config.unit), Runs()
    state = initial_state(time.monotonic(), config.limits, ran=RAN.exists(), jitter=random.random())  # noqa: S311 - no secret
    while True:
        runs = _count_runs(config, runs) if config.scheduled else runs
        state, verdict = decide(state, replace(observe(config, log), failures=runs.failed), config.limits)
        if state.ran and not RAN.exists():
            RAN.touch()
        _log_changes(health.verdict, verdict)
        health.verdict = verdict
        if _act(actions, verdict, config.limits) and verdict.cause:
            restarts.count(verdict.cause)
        if verdict.recovered and not config.scheduled:
            actions.forget_restarts()
        explain.see("" if config.scheduled else verdict.unready)
        time.sleep(PERIOD if config.port or state.last_ok is None else PERIOD_WITHOUT_PORT)


class Explanation:
    """Tells again and again, less and less often, what is known of an application that is not well."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._pause = 0.0
        self._due = time.monotonic() + config.limits.hold

    def see(self, problem: str) -> None:
        """Take what is wrong at present, "" for nothing, and log what there is to say about it, if that is due."""
        now = time.monotonic()
        if not problem:
            self._due, self._pause = now, 0.0
        elif now >= self._due:
            self._pause = min(max(2 * self._pause, EXPLAINED[0]), EXPLAINED[1])
            self._due = now + self._pause
            log(f"{problem}: {diagnose(self._config, log)}")


def _count_runs(config: Config, runs: Runs) -> Runs:
    """Return the runs by now, and log one that failed, and one that succeeded after that."""
    counted = count(runs, *last_run(log))
    if counted.failed > runs.failed:
        log(f"{config.name}: {FAILED}, {counted.failed} in a row: {diagnose(config, log)}")
    elif counted.failed < runs.failed:
        log(f"{config.name}: {SUCCEEDED}")
    return counted


def _act(actions: Actions, verdict: Verdict, limits: Limits) -> bool:
    """Carry the verdict out, and return whether a run of the application was ended."""
    if verdict.tidy:
        actions.tidy(limits.low)
    if verdict.renew:
        return actions.renew(verdict.renew)
    if verdict.kill:
        actions.kill(verdict.kill)
    elif verdict.stop:
        actions.stop(verdict.stop)
    elif verdict.hold:
        actions.hold()
    else:
        actions.release()
    return bool(verdict.kill or verdict.stop)


def _log_changes(before: Verdict, after: Verdict) -> None:
    """Log what changed for the group and for the balancer."""
    if bool(before.dead) != bool(after.dead):
        log(f"{GROUP} {f'dead: {after.dead}' if after.dead else ALIVE}")
    elif bool(before.unready) != bool(after.unready):
        log(f"{BALANCER} {f'not ready: {after.unready}' if after.unready else READY}")


def log(message: str) -> None:
    """Print a line; the unit sends it to journal and console."""
    print(f"samovar: {message}", flush=True)  # noqa: T201 - the one place that prints


if __name__ == "__main__":
    main()
