"""Carries out verdicts. A command that fails is logged and not raised: the next observation shows what it meant."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import glob
from pathlib import Path

from .config import ALIAS, Config
from .probes import Log, free, in_flight, lives, processes, run

DRAIN_SECONDS = 1.0
"""Seconds for the requests in flight before the application ends, and for its process to be gone."""
HOLD = 3
"""Seconds after which requests reach the application again if the watchdog dies; it renews the hold before that."""
LARGE = 1 << 20
UNIT = ALIAS.name


class Actions:
    """The actions on the application that `config` describes."""

    def __init__(self, config: Config, log: Log) -> None:
        self._port = config.port
        self._name = config.name
        self._unit = config.unit
        self._stop = config.stop
        self._log_files = config.log_files
        self._log = log
        self._holding = False

    def hold(self) -> None:
        """Refuse the proxy's new connections to the application; the proxy tries again, writes included."""
        if self._port:
            element = f"add element inet application held {{ {self._port} timeout {HOLD}s }}"
            run(self._log, "nft", f"flush set inet application held; {element}")
            self._holding = True

    def release(self) -> None:
        if self._holding:
            run(self._log, "nft", "flush", "set", "inet", "application", "held")
            self._holding = False

    def forget_restarts(self) -> None:
        """Reset the count of restarts that systemd keeps: the higher it is, the longer is the next pause."""
        run(self._log, "systemctl", "reset-failed", UNIT)

    def kill(self, reason: str) -> None:
        """Kill the application, which is sick; its unit starts it again."""
        self._drain()
        self._end(reason, 0.0)

    def stop(self, reason: str) -> None:
        """Stop the application and start it again; what does not stop in its time is killed."""
        self._drain()
        self._end(reason, self._stop)

    def renew(self, reason: str) -> bool:
        """Do the same, unless a request is still in flight after a moment; return whether it was done."""
        idle = self._drain()
        if idle:
            self._end(reason, self._stop)
        self.release()
        return idle

    def tidy(self, low: float) -> None:
        """Remove rotated logs, oldest first, until the share `low` is free; then old entries, then current logs."""
        removed = [path.name for path in self._old_logs() if self._remove(path, low)]
        run(self._log, "journalctl", "--quiet", "--vacuum-size=16M")
        removed += [f"the content of {path.name}" for path in self._files("") if self._truncate(path, low)]
        if removed:
            self._log(f"the disk fills: removed {', '.join(removed)}; {free(self._log_files):.0%} are free")

    def _drain(self) -> bool:
        self.hold()
        return _wait(lambda: not in_flight(self._port), DRAIN_SECONDS) if self._port else True

    def _end(self, reason: str, seconds: float) -> None:
        """End the application, and hold requests until it is gone: until then the kernel takes connections for it."""
        self._log(f"{self._name} ends: {reason}")
        self.hold()
        ending = processes(self._unit)
        if seconds:
            run(self._log, "systemctl", "--no-block", "restart", UNIT)
        if not seconds or not self._ended(ending, seconds):
            run(self._log, "systemctl", "kill", "--signal=SIGKILL", UNIT)
            self._ended(ending, DRAIN_SECONDS)
        self.release()

    def _ended(self, ending: Sequence[int], seconds: float) -> bool:
        """Return whether these processes are gone in time; requests are held meanwhile."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if _wait(lambda: not any(map(lives, ending)), min(left, DRAIN_SECONDS)):
                return True
            self.hold()
        return False

    def _old_logs(self) -> list[Path]:
        return sorted(self._files(".*"), key=_changed)

    def _files(self, end: str) -> list[Path]:
        return [Path(file) for pattern in self._log_files for file in glob(f"{pattern}{end}")]  # noqa: PTH207 - absolute

    def _remove(self, path: Path, low: float) -> bool:
        if free(self._log_files) >= low:
            return False
        with suppress(OSError), _opened(path.parent, os.O_RDONLY | os.O_DIRECTORY) as folder:
            os.unlink(path.name, dir_fd=folder)
            return True
        return False

    def _truncate(self, path: Path, low: float) -> bool:
        if free(self._log_files) >= low:
            return False
        with suppress(OSError), _opened(path, os.O_WRONLY | os.O_NONBLOCK) as file:
            if os.fstat(file).st_size > LARGE:
                os.ftruncate(file, 0)
                return True
        return False


def _changed(path: Path) -> float:
    """Return when a file was changed; 0 for one that is gone."""
    with suppress(OSError):
        return path.lstat().st_mtime
    return 0.0


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a path that no link is a part of: where the application may write, one could lead root elsewhere.

    Raises OSError, also for such a path.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        if Path(f"/proc/self/fd/{descriptor}").readlink() != path:
            raise OSError(f"{path}: a link leads elsewhere")
        yield descriptor
    finally:
        os.close(descriptor)


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    """Return whether it is done, at the latest after so many seconds."""
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    return done()
