"""The RPCs of yandex.cloud.operation: a client polls an operation until it is done."""

from __future__ import annotations

from yandex.cloud.operation import operation_service_pb2 as rpc
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import require
from samovar.localcloud.store.store import Store


class OperationService:
    """Operations of all services; none of them can be cancelled."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def Get(self, request: rpc.GetOperationRequest, _: Caller) -> Operation:
        return require(self._store, Operation, request.operation_id)

    def Cancel(self, request: rpc.CancelOperationRequest, _: Caller) -> Operation:
        operation = require(self._store, Operation, request.operation_id)
        if operation.done:
            return operation
        raise precondition(f"Operation {operation.id} cannot be cancelled: {operation.description}")


SERVICES = (Service(rpc, "operation", lambda context: OperationService(context.store)),)
