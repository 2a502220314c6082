"""What the watchdog does. A command that fails is said and not raised: the next look tells whether it mattered."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .eyes import free, in_flight

UNIT = "bingo.service"
DRAIN = 1.0
"""Seconds for what bingo is working on, before it ends."""
HELD = 3
"""Seconds after which requests go to bingo again should the watchdog die; it holds them anew before that."""
LARGE = 1 << 20
COMMAND_TIMEOUT = 10.0

Say = Callable[[str], None]


class Hands:
    """Of bingo at `port`, with its logs in `logs`."""

    def __init__(self, port: int, logs: Path, say: Say) -> None:
        self._port = port
        self._logs = logs
        self._say = say
        self._held = False

    def hold(self) -> None:
        """The proxy's new connections to bingo are refused; what is refused it tries again, a write as well."""
        element = f"add element inet bingo held {{ {self._port} timeout {HELD}s }}"
        self._run("nft", f"flush set inet bingo held; {element}")
        self._held = True

    def release(self) -> None:
        if self._held:
            self._run("nft", "flush", "set", "inet", "bingo", "held")
            self._held = False

    def end(self, reason: str) -> None:
        """Ends bingo, and its unit starts it again."""
        self._drained()
        self._kill(reason)

    def renew(self, reason: str) -> None:
        """The same, unless somebody still waits for an answer after a moment."""
        if self._drained():
            self._kill(reason)
        self.release()

    def tidy(self, low: float) -> None:
        """Removes old logs, the oldest first, until `low` of the disk is free; at last what is in the one in use."""
        removed = [path.name for path in self._old_logs() if self._removed(path, low)]
        self._run("journalctl", "--quiet", "--vacuum-size=16M")
        log = self._logs / "main.log"
        if free(self._logs) < low and log.exists() and log.stat().st_size > LARGE:
            self._run("truncate", "--size=0", str(log))
            removed.append(f"what was in {log.name}")
        if removed:
            self._say(f"the disk fills: removed {', '.join(removed)}; {free(self._logs):.0%} are free")

    def _drained(self) -> bool:
        self.hold()
        deadline = time.monotonic() + DRAIN
        while in_flight(self._port) and time.monotonic() < deadline:
            time.sleep(0.02)
        return not in_flight(self._port)

    def _kill(self, reason: str) -> None:
        self._say(f"bingo ends: {reason}")
        self._run("systemctl", "kill", "--signal=SIGKILL", UNIT)
        self.release()

    def _old_logs(self) -> list[Path]:
        return sorted(self._logs.glob("main.log.*"), key=lambda path: path.stat().st_mtime)

    def _removed(self, path: Path, low: float) -> bool:
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
            self._say(f"{' '.join(command)}: {error}")
        else:
            if done.returncode:
                self._say(f"{' '.join(command)}: ended with {done.returncode}: {done.stderr.strip()}")
