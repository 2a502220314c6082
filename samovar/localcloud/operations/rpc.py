"""The RPCs of yandex.cloud.operation: a client polls an operation until it is done."""

from __future__ import annotations

from yandex.cloud.operation import operation_service_pb2 as rpc
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.registry import Service
from samovar.localcloud.store.store import Store


class OperationService:
    """Operations of all services; none of them can be cancelled."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def Get(self, request: rpc.GetOperationRequest, _: Caller) -> Operation:
        return self._by_id(request.operation_id)

    def Cancel(self, request: rpc.CancelOperationRequest, _: Caller) -> Operation:
        operation = self._by_id(request.operation_id)
        if operation.done:
            return operation
        raise precondition(f"Operation {operation.id} cannot be cancelled: {operation.description}")

    def _by_id(self, operation_id: str) -> Operation:
        operation = self._store.get(Operation, operation_id)
        if operation is None:
            raise not_found("Operation", operation_id)
        return operation


SERVICES = (Service(rpc, "operation", lambda context: OperationService(context.store)),)
