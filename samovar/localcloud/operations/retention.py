"""Deletes what the store need not keep for ever: operations that are done, and idempotency keys."""

from __future__ import annotations

from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.pipeline import IDEMPOTENCY, KEY_KEPT
from samovar.localcloud.clock import now
from samovar.localcloud.operations.model import KEPT, WAITS_FOR
from samovar.localcloud.store.store import Store

PERIOD = 60.0
"""Seconds between two looks."""
AT_A_TIME = 500
"""What one step deletes at most, so that none takes long."""
BEGUN = ("retention", "retention.begun")


class Retention:
    """Follows the dates that are stored with each operation and key."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next = 0.0
        if not store.noted(*BEGUN):
            self._date_older()

    async def step(self) -> None:
        """Goes on in the next step where there is more."""
        if now() < self._next:
            return
        if self._store.drop_expired(Operation, now(), AT_A_TIME) < AT_A_TIME:
            self._next = now() + PERIOD

    def _date_older(self) -> None:
        """A store of an earlier version holds operations and keys without a date."""
        with self._store.transaction():
            pending = self._store.all_noted(WAITS_FOR)
            for operation_id in self._store.ids(Operation):
                if operation_id not in pending:
                    self._store.expire(operation_id, now() + KEPT)
            for key in self._store.all_noted(IDEMPOTENCY):
                self._store.expire(key, now() + KEY_KEPT)
            self._store.note(*BEGUN, value=True)
