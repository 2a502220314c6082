"""`python3 -m bingo_watchdog` observes, decides and acts, twice a second, for ever."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

from .actions import Actions
from .policy import Limits, Verdict, decide, initial_state
from .probes import machine_memory, observe
from .server import HealthServer

CONFIG = Path("/etc/bingo/watchdog.json")
RAN = Path("/var/lib/bingo-watchdog/ran")
"""It exists once bingo was up on this machine."""
PERIOD = 0.5
HEALTH_PORT = 8101


@dataclass(frozen=True)
class Config:
    """The port and the log folder of bingo, and the limits."""

    port: int
    logs: Path
    limits: Limits


def read_config(text: str, memory: int) -> Config:
    """Read the file, whose keys are settings of the role. `memory` is the machine's, in bytes; bingo gets a share."""
    given = json.loads(text)
    lifetime = given.pop("lifetime")
    port, logs, share = given.pop("port"), Path(given.pop("logs")), given.pop("memory")
    limits = Limits(memory=int(memory * share), lifetime=(lifetime[0], lifetime[-1]) if lifetime else None, **given)
    return Config(port, logs, limits)


def main() -> None:
    """Run for ever."""
    config = read_config(CONFIG.read_text(), machine_memory())
    health, actions = HealthServer(HEALTH_PORT), Actions(config.port, config.logs, log)
    state = initial_state(time.monotonic(), config.limits, ran=RAN.exists(), jitter=random.random())  # noqa: S311 - no secret
    while True:
        state, verdict = decide(state, observe(config.port, config.logs), config.limits)
        if state.ran and not RAN.exists():
            RAN.touch()
        _log_changes(health.verdict, verdict)
        health.verdict = verdict
        _act(actions, verdict, config.limits)
        time.sleep(PERIOD)


def _act(actions: Actions, verdict: Verdict, limits: Limits) -> None:
    if verdict.tidy:
        actions.tidy(limits.low)
    if verdict.end:
        actions.end(verdict.end)
    elif verdict.renew:
        actions.renew(verdict.renew)
    elif verdict.hold:
        actions.hold()
    else:
        actions.release()


def _log_changes(before: Verdict, after: Verdict) -> None:
    """Log what changed for the group and for the balancer."""
    if bool(before.dead) != bool(after.dead):
        log(f"for the group this machine is {f'dead: {after.dead}' if after.dead else 'alive'}")
    elif bool(before.unready) != bool(after.unready):
        log(f"for the balancer this machine is {f'not ready: {after.unready}' if after.unready else 'ready'}")


def log(message: str) -> None:
    """Print a line; the unit sends it to journal and console."""
    print(f"samovar: {message}", flush=True)  # noqa: T201 - the one place that prints


if __name__ == "__main__":
    main()
