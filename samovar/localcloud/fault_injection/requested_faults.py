"""Keeps the faults that were asked for in the store, and lets calls and starts of machines meet them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from pydantic import TypeAdapter
from yandex.cloud.compute.v1.instance_pb2 import Instance

from samovar.core.json_types import JsonObject
from samovar.localcloud import clock
from samovar.localcloud.api.errors import Refused
from samovar.localcloud.api.pipeline import Call, Proceed
from samovar.localcloud.fault_injection.faults import (
    NO_CAPACITY,
    Effect,
    FailedOperations,
    Fault,
    strikes_call,
    strikes_start,
)
from samovar.localcloud.operations.model import WorkFailed
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import NoteKey, Store

FAULT = NoteKey[JsonObject]("fault")
ID_PREFIX = "flt"
PLAIN = TypeAdapter(Fault)
"""A fault as JSON has it, in the store and in the admin API."""


class RequestedFaults:
    """The faults of one cloud. Each stays until it struck as often as asked, or is cleared."""

    def __init__(
        self, store: Store, failed_operations: FailedOperations, draw: Callable[[], float] = random.random
    ) -> None:
        self._store = store
        self._failed_operations = failed_operations
        self._draw = draw

    def all(self) -> list[Fault]:
        """Return the faults in the order in which they were added."""
        noted = self._store.all_noted(FAULT).values()
        return sorted((PLAIN.validate_python(plain) for plain in noted), key=lambda fault: fault.added)

    def add(self, fault: Fault) -> Fault:
        """Keep a fault under an id of its own."""
        added = replace(fault, id=new_id(ID_PREFIX), added=clock.now())
        self._put(added)
        return added

    def clear(self, fault_id: str = "") -> list[Fault]:
        """Remove one fault, or all of them; return what was removed."""
        removed = [fault for fault in self.all() if fault_id in {"", fault.id}]
        for fault in removed:
            self._store.forget(fault.id, FAULT)
        return removed

    async def intercept(self, call: Call, proceed: Proceed) -> Message:
        """Let a call meet the first fault that strikes it."""
        fault = next((each for each in self.all() if strikes_call(each, call.method, call.request, self._draw())), None)
        if fault is None:
            return await proceed()
        self._count(fault)
        await asyncio.sleep(clock.of_host(fault.delay))
        return await (self._fail(fault, call, proceed) if fault.code else proceed())

    async def _fail(self, fault: Fault, call: Call, proceed: Proceed) -> Message:
        code = Code.Value(fault.code)
        if fault.effect is Effect.OPERATION:
            return self._failed_operations.make(call, Status(code=code, message=fault.text))
        if fault.effect is Effect.ANSWER:
            await proceed()
        raise Refused(code, fault.text)

    async def before_start(self, instance: Instance) -> None:
        """Raise WorkFailed where a machine finds no capacity in its zone."""
        for fault in self.all():
            if strikes_start(fault, instance.zone_id, self._draw()):
                self._count(fault)
                text = fault.message or NO_CAPACITY.format(zone=instance.zone_id)
                raise WorkFailed(text, status=Code.RESOURCE_EXHAUSTED)

    def _count(self, fault: Fault) -> None:
        """Count one strike; a fault that has no more of them is removed."""
        struck = replace(fault, struck=fault.struck + 1)
        if struck.struck == struck.times:
            self._store.forget(fault.id, FAULT)
        else:
            self._put(struck)

    def _put(self, fault: Fault) -> None:
        self._store.note(fault.id, FAULT, PLAIN.dump_python(fault, mode="json"))
