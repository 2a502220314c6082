"""A lease keeps a lock while the work goes on: it renews the lock, and reports its loss."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import grpc

from samovar.cloud.errors import CallFailed
from samovar.core.errors import CloudError, ExitCode, SamovarError


class LockLost(SamovarError):
    """The lock is lost: another rollout may run now."""

    code = ExitCode.LOCKED


class Lease:
    """A lock that `keep` renews in a thread of its own; every other thread calls `check` before it changes anything.

    After the host slept, or this process was stopped, the first `check` renews the lock. Linux counts the time of a
    sleep in CLOCK_BOOTTIME alone; other systems, which do not have it, count it in their monotonic time.
    """

    def __init__(self, environment: str, renew: Callable[[], None], lifetime: float) -> None:
        self._environment = environment
        self._renew = renew
        self._lifetime = lifetime
        self._renewed = _now()
        self._lost = False
        self._ended = threading.Event()
        self._renewing = threading.RLock()
        self._renewer: int | None = None

    def keep(self) -> None:
        """Renew until `end`, or until the lock is lost. A cloud that does not answer now may do so the next time."""
        pause = self._lifetime / 3
        while not self._ended.wait(pause) and not self._lost:
            try:
                self._try()
                pause = self._lifetime / 3
            except CloudError:
                pause = self._lifetime / 12
            except LockLost:
                return

    def end(self) -> None:
        self._ended.set()

    def check(self) -> None:
        """Raise LockLost where the lock has another holder, or may have one by now and cannot be renewed."""
        if threading.get_ident() == self._renewer:
            return
        if not self._lost and _now() - self._renewed > self._lifetime / 2:
            try:
                self._try()
            except CloudError as error:
                raise self._error("cannot be renewed") from error
        if self._lost:
            raise self._error("was lost")

    def _try(self) -> None:
        with self._renewing:
            began, self._renewer = _now(), threading.get_ident()
            try:
                self._renew()
                self._renewed = began
            except CallFailed as error:
                if error.status is not grpc.StatusCode.NOT_FOUND:
                    raise
                self._lost = True
                raise self._error("was lost") from error
            finally:
                self._renewer = None

    def _error(self, what: str) -> LockLost:
        return LockLost(
            f"the lock of {self._environment} {what}: the rollout has stopped",
            remedy="another rollout may run now; run the command again, and it goes on from there",
        )


def _now() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
