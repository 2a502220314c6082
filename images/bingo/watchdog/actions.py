"""Carries out verdicts. A command that fails is logged and not raised: the next observation shows what it meant."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .probes import free, in_flight, listener

UNIT = "bingo.service"
PATIENCE = 1.0
"""Seconds for the requests in flight before bingo ends, and for its process to be gone."""
HOLD = 3
"""Seconds after which requests reach bingo again if the watchdog dies; it renews the hold before that."""
LARGE = 1 << 20
COMMAND_TIMEOUT = 10.0

Log = Callable[[str], None]


class Actions:
    """The actions on the bingo at `port`, with its logs in `logs`."""

    def __init__(self, port: int, logs: Path, log: Log) -> None:
        self._port = port
        self._logs = logs
        self._log = log
        self._holding = False

    def hold(self) -> None:
        """Refuse the proxy's new connections to bingo; the proxy tries again, writes included."""
        element = f"add element inet bingo held {{ {self._port} timeout {HOLD}s }}"
        self._run("nft", f"flush set inet bingo held; {element}")
        self._holding = True

    def release(self) -> None:
        if self._holding:
            self._run("nft", "flush", "set", "inet", "bingo", "held")
            self._holding = False

    def end(self, reason: str) -> None:
        """End bingo; its unit starts it again."""
        self._drain()
        self._kill(reason)

    def renew(self, reason: str) -> None:
        """End bingo, unless a request is still in flight after a moment."""
        if self._drain():
            self._kill(reason)
        self.release()

    def tidy(self, low: float) -> None:
        """Remove old logs, oldest first, until the share `low` of the disk is free; then truncate the current log."""
        removed = [path.name for path in self._old_logs() if self._remove(path, low)]
        self._run("journalctl", "--quiet", "--vacuum-size=16M")
        log = self._logs / "main.log"
        if free(self._logs) < low and log.exists() and log.stat().st_size > LARGE:
            self._run("truncate", "--size=0", str(log))
            removed.append(f"the content of {log.name}")
        if removed:
            self._log(f"the disk fills: removed {', '.join(removed)}; {free(self._logs):.0%} are free")

    def _drain(self) -> bool:
        self.hold()
        return _wait(lambda: not in_flight(self._port))

    def _kill(self, reason: str) -> None:
        """Kill bingo, and hold requests until it is gone: until then the kernel accepts connections for it."""
        self._log(f"bingo ends: {reason}")
        self.hold()
        killed = listener(self._port)
        self._run("systemctl", "kill", "--signal=SIGKILL", UNIT)
        _wait(lambda: killed is None or listener(self._port) != killed)
        self.release()

    def _old_logs(self) -> list[Path]:
        return sorted(self._logs.glob("main.log.*"), key=lambda path: path.stat().st_mtime)

    def _remove(self, path: Path, low: float) -> bool:
        if free(self._logs) >= low:
            return False
        path.unlink(missing_ok=True)
        return True

    def _run(self, *command: str) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - the image's own commands
                command, check=False, capture_output=True, text=True, timeout=COMMAND_TIMEOUT
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self._log(f"{' '.join(command)}: {error}")
        else:
            if done.returncode:
                self._log(f"{' '.join(command)}: ended with {done.returncode}: {done.stderr.strip()}")


def _wait(done: Callable[[], bool]) -> bool:
    """Return whether it is done, at the latest after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    return done()
