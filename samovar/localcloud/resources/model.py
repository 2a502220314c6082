"""What all services share: look a resource up, list with pages and filters, apply an update mask, keep names unique."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from samovar.localcloud import clock
from samovar.localcloud.api.errors import already_exists, invalid, not_found
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.quota_manager.model import check_quota
from samovar.localcloud.store.store import Store, Stored

R = TypeVar("R", bound=Stored)
M = TypeVar("M", bound=Message)

DEFAULT_PAGE = 100
FILTER = re.compile(r"""\s*(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)')\s*""")


class ResourceService(Generic[R]):
    """The base of a service of one kind of resource. Get, List and ListOperations read their shapes off the request."""

    kind: type[R]
    noun: str
    id_field: str

    def __init__(self, store: Store, operations: Operations) -> None:
        self.store = store
        self.operations = operations

    def find(self, request: Any) -> R:
        """The resource that the request names, or NOT_FOUND."""
        return self.by_id(getattr(request, self.id_field))

    def by_id(self, resource_id: str) -> R:
        found = self.store.get(self.kind, resource_id)
        if found is None:
            raise not_found(self.noun, resource_id)
        return found

    def Get(self, request: Any, _: Caller) -> R:
        return self.find(request)

    def admit(self, folder_id: str, name: str) -> None:
        """There is room for a new resource, and its name is free."""
        check_quota(self.store, self.kind)
        self.claim_name(folder_id, name)

    def claim_name(self, folder_id: str, name: str, own_id: str = "") -> None:
        """A name is unique in its folder; no name is always free."""
        taken = self.store.all(self.kind, scope=folder_id, name=name) if name else []
        if any(other.id != own_id for other in taken):
            raise already_exists(self.noun, name)


def page(request: Any, response: M, field: str, items: Iterable[Any]) -> M:
    """Fills `field` of a list response with the page that the request asks for; a page token is an offset."""
    chosen = filtered(items, getattr(request, "filter", ""))
    size = request.page_size or DEFAULT_PAGE
    if request.page_token and not request.page_token.isdecimal():
        raise invalid("page_token is not one of this list's", "page_token")
    start = int(request.page_token or 0)
    getattr(response, field).extend(chosen[start : start + size])
    if start + size < len(chosen):
        cast("Any", response).next_page_token = str(start + size)
    return response


def filtered(items: Iterable[Any], text: str) -> Sequence[Any]:
    """`name="x"` alone is served, as the clients use it; another filter is refused and not ignored."""
    if not text:
        return list(items)
    found = FILTER.fullmatch(text)
    if not found:
        raise invalid(f'filter {text!r} is not understood; it has the form name="..."', "filter")
    field, value = found[1], found[2] if found[2] is not None else found[3]
    chosen = list(items)
    if any(field not in item.DESCRIPTOR.fields_by_name for item in chosen):
        raise invalid(f"filter names no field: {field}", "filter")
    return [item for item in chosen if str(getattr(item, field)) == value]


def masked_paths(request: Message, mask: FieldMask, id_field: str) -> frozenset[str]:
    """The top fields that an update is about: those of the mask, or without a mask all that the request has."""
    known = {field.name for field in request.DESCRIPTOR.fields} - {id_field, "update_mask"}
    if not mask.paths:
        return frozenset(known)
    unknown = [path for path in mask.paths if path.split(".")[0] not in known]
    if unknown:
        raise invalid(f"update_mask names no field of the request: {', '.join(unknown)}", "update_mask")
    return frozenset(path.split(".")[0] for path in mask.paths)


def update(target: Message, request: Any, id_field: str) -> frozenset[str]:
    """Copies the masked fields of the same name from the request to the resource; returns the paths of the mask."""
    paths = masked_paths(request, request.update_mask, id_field)
    for path in paths & {field.name for field in target.DESCRIPTOR.fields}:
        copy_field(request, target, path)
    return paths


def fill(target: Message, request: Message) -> None:
    """Gives a new resource every field of the same name and type that its request has."""
    for field in request.DESCRIPTOR.fields:
        own = target.DESCRIPTOR.fields_by_name.get(field.name)
        if own is not None and (_is_map(field) or (own.type, own.message_type) == (field.type, field.message_type)):
            copy_field(request, target, field.name)


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def copy_field(source: Message, target: Message, name: str) -> None:
    """Makes one field of `target` what it is in `source`, unset included."""
    target.ClearField(name)
    field = source.DESCRIPTOR.fields_by_name[name]
    value = getattr(source, name)
    if field.is_repeated:
        if _is_map(field):
            _copy_map(value, getattr(target, name))
        else:
            getattr(target, name).extend(value)
    elif field.message_type is not None:
        if source.HasField(name):
            getattr(target, name).CopyFrom(value)
    elif not field.has_presence or source.HasField(name):
        setattr(target, name, value)


def _copy_map(source: Any, target: Any) -> None:
    for key, value in source.items():
        if isinstance(value, Message):
            target[key].CopyFrom(value)
        else:
            target[key] = value


def stamp(resource: Any) -> None:
    """Gives a new resource its time, in whole seconds as the real API does."""
    clock.set_now(resource.created_at)
    resource.created_at.nanos = 0
