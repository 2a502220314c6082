"""Ends the operations whose resource has reached its goal or never will, and deletes what the store need not keep."""

from __future__ import annotations

from collections.abc import Mapping

from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.pipeline import IDEMPOTENCY, KEY_RETENTION
from samovar.localcloud.clock import now
from samovar.localcloud.operations.model import RETENTION, WAITS_FOR, Goal, Operations, Outcome
from samovar.localcloud.store.store import NoteKey, Store, Stored, kind_of

PERIOD = 60.0
"""Seconds between two looks for what has expired."""
BATCH = 500
"""How much one step deletes at most, so that none takes long."""
RETENTION_STARTED = ("retention", NoteKey[bool]("retention.begun"))


class OperationController:
    """The controller asks for each pending operation what became of its resource."""

    def __init__(self, operations: Operations, outcomes: Mapping[type[Stored], Outcome]) -> None:
        """`outcomes` are by the kind of the resource, from the controller that brings it to its goal."""
        self._operations = operations
        self._outcomes = {kind_of(kind): outcome for kind, outcome in outcomes.items()}

    async def reconcile(self) -> None:
        """End what can be ended; this is cheap where nothing is pending."""
        self._operations.release()
        for operation_id, waits_for in self._operations.pending().items():
            outcome = self._outcomes[waits_for["kind"]](Goal(waits_for["goal"]), waits_for["id"])
            if outcome is not None:
                self._operations.finish(operation_id, outcome)


class Retention:
    """Deletes finished operations and idempotency keys on the dates that are stored with them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next = 0.0
        if not store.noted(*RETENTION_STARTED):
            self._date_older()

    async def reconcile(self) -> None:
        """Delete one batch of what has expired; the next call goes on where there is more."""
        if 0 < self._next - now() <= PERIOD:  # more than that is left where the clock was set back
            return
        if self._store.drop_expired(Operation, now(), BATCH) < BATCH:
            self._next = now() + PERIOD

    def _date_older(self) -> None:
        """Date the operations and keys of a store of an earlier version, which have none."""
        with self._store.transaction():
            pending = self._store.all_noted(WAITS_FOR)
            for operation_id in self._store.ids(Operation):
                if operation_id not in pending:
                    self._store.expire(operation_id, now() + RETENTION)
            for key in self._store.all_noted(IDEMPOTENCY):
                self._store.expire(key, now() + KEY_RETENTION)
            self._store.note(*RETENTION_STARTED, value=True)
