"""The RPCs of yandex.cloud.operation: a client polls an operation until it is done."""

from __future__ import annotations

from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.operation.operation_service_pb2 import CancelOperationRequest, GetOperationRequest

from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.store.store import Store


class OperationService:
    """yandex.cloud.operation.OperationService."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def Get(self, request: GetOperationRequest, _: Caller) -> Operation:
        found = self._store.get(Operation, request.operation_id)
        if found is None:
            raise not_found("Operation", request.operation_id)
        return found

    def Cancel(self, request: CancelOperationRequest, caller: Caller) -> Operation:
        operation = self.Get(GetOperationRequest(operation_id=request.operation_id), caller)
        if operation.done:
            return operation
        raise precondition(f"Operation {operation.id} cannot be cancelled: {operation.description}")
