"""Keeps the daemon's log file to a bounded size. It is the daemon's stderr, opened by the process that starts it.

Once it is larger than LIMIT it becomes `daemon.log.1`, in the place of the one before, and a new one is begun.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

import structlog

from samovar.localcloud import clock

LIMIT = 4 << 20
PERIOD = 5.0
"""Seconds between two looks; libraries write to stderr past us."""
STDOUT, STDERR = 1, 2


class LogFile(io.TextIOBase):
    """A replacement of sys.stderr. It loses what cannot be written, as on a full disk, and the work goes on."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._written = 0

    def write(self, text: str) -> int:
        data = text.encode(errors="backslashreplace")
        with suppress(OSError):
            os.write(STDERR, data)
        self._written += len(data)
        if self._written > LIMIT:
            self.rotate()
        return len(text)

    def rotate(self) -> None:
        """Begin a new file where the old one is too large. Does nothing where stderr is another file."""
        with suppress(OSError):
            ours = os.fstat(STDERR)
            if ours.st_size > LIMIT and os.path.samestat(ours, self._path.stat()):
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                new = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                for number in (STDOUT, STDERR):
                    os.dup2(new, number)
                os.close(new)
            self._written = 0

    async def keep_small(self) -> None:
        """Check the size again and again, until it is cancelled."""
        while True:
            self.rotate()
            await asyncio.sleep(clock.of_host(PERIOD))


def take_over_stderr(path: Path) -> LogFile:
    """Let sys.stderr write through the log file from now on, if that is where stderr goes."""
    log_file = LogFile(path)
    with suppress(OSError):
        if os.path.samestat(os.fstat(STDERR), path.stat()):
            sys.stderr = log_file
    return log_file


def log_to_stderr() -> None:
    """Log one JSON object a line to stderr, which is redirected by the process that starts the daemon."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(_LossyStderr(io.BytesIO())),
    )


class _LossyStderr(io.TextIOWrapper):
    """Loses what cannot be written: the daemon outlives a full disk below its log."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()
