"""The three RPCs that every service has whose resources bear access bindings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from yandex.cloud.access import access_pb2 as rpc
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.iam.authorization import Access
from samovar.localcloud.resources.model import ResourceService, page
from samovar.localcloud.store.store import Stored

R = TypeVar("R", bound=Stored)


class BoundService(ResourceService[R]):
    """`answers_with_deltas` is False where the protos declare an empty response."""

    answers_with_deltas = True

    def ListAccessBindings(self, request: rpc.ListAccessBindingsRequest, _: Caller) -> rpc.ListAccessBindingsResponse:
        found = Access(self.store).bindings(self.by_id(request.resource_id).id)
        return page(request, rpc.ListAccessBindingsResponse(), "access_bindings", found)

    def SetAccessBindings(self, request: rpc.SetAccessBindingsRequest, caller: Caller) -> Operation:
        resource_id = self.by_id(request.resource_id).id
        changed = Access(self.store).replace(resource_id, request.access_bindings)
        metadata = rpc.SetAccessBindingsMetadata(resource_id=resource_id)
        return self.operations.done(caller, "Set access bindings", metadata, self._answer(changed))

    def UpdateAccessBindings(self, request: rpc.UpdateAccessBindingsRequest, caller: Caller) -> Operation:
        """What is there already is not added again, what is not there not removed."""
        resource_id = self.by_id(request.resource_id).id
        access = Access(self.store)
        bindings = access.bindings(resource_id)
        for delta in request.access_binding_deltas:
            adds = delta.action == rpc.AccessBindingAction.ADD
            if adds != (delta.access_binding in bindings):
                (bindings.append if adds else bindings.remove)(delta.access_binding)
        changed = access.replace(resource_id, bindings)
        metadata = rpc.UpdateAccessBindingsMetadata(resource_id=resource_id)
        return self.operations.done(caller, "Update access bindings", metadata, self._answer(changed))

    def _answer(self, changed: Iterable[rpc.AccessBindingDelta]) -> Message:
        return rpc.AccessBindingsOperationResult(effective_deltas=changed) if self.answers_with_deltas else Empty()
