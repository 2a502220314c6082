"""The base of every service: Get, List with pages and filters, and the RPCs of operations and access bindings."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf import message_factory
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from yandex.cloud.access import access_pb2 as rpc
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import invalid
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.iam.authorization import AccessBindings
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.resources.listing import Described, filtered, ordered
from samovar.localcloud.resources.model import Repository, check_status
from samovar.localcloud.store.store import Stored

R = TypeVar("R", bound=Stored)

DEFAULT_PAGE = 100
SEPARATOR = "-"


class ListRequest(Described, Protocol):
    """The request of a List, for one page."""

    page_size: int
    page_token: str


class ResourceService(Generic[R]):
    """The RPCs that every service with resources has. The types of their messages follow from the request."""

    def __init__(self, resources: Repository[R], operations: Operations) -> None:
        self.resources = resources
        self.store = resources.store
        self.operations = operations
        self.id_field = re.sub(r"(?<!^)(?=[A-Z])", "_", resources.noun).lower() + "_id"

    def find(self, request: object) -> R:
        """Return the resource that the request names. Raises Refused with NOT_FOUND."""
        return self.resources.by_id(getattr(request, self.id_field))

    def find_with_status(self, request: object, *statuses: int) -> R:
        """Return the same. Raises Refused with FAILED_PRECONDITION where its status is none of these."""
        resource = self.find(request)
        check_status(resource, *statuses)
        return resource

    def stored(self, caller: Caller, description: str, metadata: Message, resource: R) -> Operation:
        """Store a resource, new or changed. Return the operation of the call, which is done, with the resource."""
        self.resources.put(resource)
        assert isinstance(resource, Message)  # noqa: S101 - shows the type checker what it is
        return self.operations.done(caller, description, metadata, resource)

    def Get(self, request: Any, _: Caller) -> R:  # noqa: ANN401 - some services narrow it to their own request
        return self.find(request)

    def List(self, request: Any, _: Caller) -> Message:  # noqa: ANN401 - the same
        return page(request, self.resources.in_folder(request.folder_id))


class WithOperations(ResourceService[R]):
    """The RPC of services that list what was done with a resource."""

    def ListOperations(self, request: ListRequest, _: Caller) -> Message:
        return page(request, self.operations.of_resource(self.find(request).id))


class WithAccessBindings(ResourceService[R]):
    """The RPCs of services whose resources bear access bindings.

    `answers_with_deltas` is False where the protos declare an empty response.
    """

    answers_with_deltas = True

    def ListAccessBindings(self, request: rpc.ListAccessBindingsRequest, _: Caller) -> Message:
        return page(request, AccessBindings(self.store).bindings(self.resources.by_id(request.resource_id).id))

    def SetAccessBindings(self, request: rpc.SetAccessBindingsRequest, caller: Caller) -> Operation:
        resource_id = self.resources.by_id(request.resource_id).id
        deltas = AccessBindings(self.store).replace(resource_id, request.access_bindings)
        metadata = rpc.SetAccessBindingsMetadata(resource_id=resource_id)
        return self.operations.done(caller, "Set access bindings", metadata, self._answer(deltas))

    def UpdateAccessBindings(self, request: rpc.UpdateAccessBindingsRequest, caller: Caller) -> Operation:
        """Add no binding that is there already, and remove none that is not there."""
        resource_id = self.resources.by_id(request.resource_id).id
        access = AccessBindings(self.store)
        bindings = access.bindings(resource_id)
        for delta in request.access_binding_deltas:
            adds = delta.action == rpc.AccessBindingAction.ADD
            if adds != (delta.access_binding in bindings):
                (bindings.append if adds else bindings.remove)(delta.access_binding)
        deltas = access.replace(resource_id, bindings)
        metadata = rpc.UpdateAccessBindingsMetadata(resource_id=resource_id)
        return self.operations.done(caller, "Update access bindings", metadata, self._answer(deltas))

    def _answer(self, deltas: Iterable[rpc.AccessBindingDelta]) -> Message:
        return rpc.AccessBindingsOperationResult(effective_deltas=deltas) if self.answers_with_deltas else Empty()


def page(request: ListRequest, items: Iterable[Described]) -> Message:
    """Return the response to a List request: the page of `items` that it asks for."""
    if request.page_size < 0:
        raise invalid("page_size must not be negative", "page_size")
    chosen = ordered(filtered(items, getattr(request, "filter", "")), getattr(request, "order_by", ""))
    start = _start(chosen, request.page_token) if request.page_token else 0
    end = start + (request.page_size or DEFAULT_PAGE)
    response = _response_class(request)
    (field,) = (field.name for field in response.DESCRIPTOR.fields if field.is_repeated)
    more = {"next_page_token": f"{end}{SEPARATOR}{_id(chosen[end - 1])}"} if end < len(chosen) else {}
    return response(**{field: chosen[start:end]}, **more)


def _start(items: Sequence[Described], token: str) -> int:
    """Return where a page begins: after the last item of the page before, whatever was deleted or added since.

    A token is the number of the items before, and the id of the last of them. That one may be gone: then the next of a
    list in the order of ids follows, and in any other order the number counts.
    """
    number, separator, last = token.partition(SEPARATOR)
    if not (separator and number.isdecimal()):
        raise invalid("page_token is not one of this list's", "page_token")
    if not last:
        return int(number)
    ids = [_id(item) for item in items]
    if last in ids:
        return ids.index(last) + 1
    return bisect_right(ids, last) if ids == sorted(ids) else int(number)


def _id(item: Described) -> str:
    return str(getattr(item, "id", ""))


def _response_class(request: Described) -> type[Message]:
    """Return the class of the response to a List request; it stands beside the request."""
    descriptor = request.DESCRIPTOR
    name = descriptor.name.removesuffix("Request") + "Response"
    return message_factory.GetMessageClass(descriptor.file.message_types_by_name[name])
