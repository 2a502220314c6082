"""`python3 -m bingo_watchdog`: looks, judges and acts, twice a second, for ever."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

from .eyes import look, machine_memory
from .face import Face
from .hands import Hands
from .judge import Limits, Verdict, begin, judge

CONFIG = Path("/etc/bingo/watchdog.json")
RAN = Path("/var/lib/bingo-watchdog/ran")
"""There once bingo was up on this machine."""
PERIOD = 0.5
FACE = 8101


@dataclass(frozen=True)
class Config:
    """`port` and folder of logs of bingo, and what is borne of it."""

    port: int
    logs: Path
    limits: Limits


def read_config(text: str, memory: int) -> Config:
    """`memory` is the machine's, in bytes; the file gives bingo a part of it. The role's settings are its keys."""
    given = json.loads(text)
    lifetime = given.pop("lifetime")
    port, logs, share = given.pop("port"), Path(given.pop("logs")), given.pop("memory")
    limits = Limits(memory=int(memory * share), lifetime=(lifetime[0], lifetime[-1]) if lifetime else None, **given)
    return Config(port, logs, limits)


def main() -> None:
    """Ends only with the process."""
    config = read_config(CONFIG.read_text(), machine_memory())
    face, hands = Face(FACE), Hands(config.port, config.logs, say)
    state = begin(time.monotonic(), config.limits, ran=RAN.exists(), dice=random.random())  # noqa: S311 - no secret
    while True:
        state, verdict = judge(state, look(config.port, config.logs), config.limits)
        if state.ran and not RAN.exists():
            RAN.touch()
        _tell(face.verdict, verdict)
        face.verdict = verdict
        _act(hands, verdict, config.limits)
        time.sleep(PERIOD)


def _act(hands: Hands, verdict: Verdict, limits: Limits) -> None:
    if verdict.tidy:
        hands.tidy(limits.low)
    if verdict.end:
        hands.end(verdict.end)
    elif verdict.renew:
        hands.renew(verdict.renew)
    elif verdict.hold:
        hands.hold()
    else:
        hands.release()


def _tell(before: Verdict, after: Verdict) -> None:
    """What changed in the eyes of the group and of the balancer."""
    if bool(before.dead) != bool(after.dead):
        say(f"for the group this machine is {f'dead: {after.dead}' if after.dead else 'alive'}")
    elif bool(before.unready) != bool(after.unready):
        say(f"for the balancer this machine is {f'not ready: {after.unready}' if after.unready else 'ready'}")


def say(message: str) -> None:
    """To the journal and the console, as the unit has it."""
    print(f"samovar: {message}", flush=True)  # noqa: T201 - the one place that prints


if __name__ == "__main__":
    main()
