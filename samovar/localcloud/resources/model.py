"""The base of every model: resources of one kind in the store, and the copying of fields between messages."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Generic, Protocol, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.localcloud import clock
from samovar.localcloud.api.errors import already_exists, invalid, not_found, precondition
from samovar.localcloud.quota_manager.model import Quota, check_quota
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store, Stored

R = TypeVar("R", bound=Stored)


class Repository(Generic[R]):
    """A repository holds the resources of one kind.

    `id_prefix` is what their ids begin with. `count_quota` bounds how many there are, each of `size_quotas` how large
    they are together.
    """

    kind: type[R]
    id_prefix: ClassVar[str]
    count_quota: ClassVar[Quota | None] = None
    size_quotas: ClassVar[tuple[Quota, ...]] = ()
    has_unique_names: ClassVar[bool] = True

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def noun(self) -> str:
        """The kind as errors name it."""
        return self.kind.__name__

    def new_id(self) -> str:
        return new_id(self.id_prefix)

    def by_id(self, resource_id: str) -> R:
        """Return a resource. Raises Refused with NOT_FOUND."""
        return require(self.store, self.kind, resource_id)

    def in_folder(self, folder_id: str) -> list[R]:
        return self.store.all(self.kind, scope=folder_id)

    def put(self, resource: R) -> None:
        self.store.put(resource)

    def delete(self, resource_id: str) -> None:
        self.store.delete(self.kind, resource_id)

    def admit(self, folder_id: str, name: str) -> None:
        """Refuse a new resource where the folder does not exist, the quota is used up, or its name is taken."""
        require(self.store, Folder, folder_id)
        if self.count_quota:
            check_quota(self.store, self.count_quota)
        self.claim_name(folder_id, name)

    def claim_name(self, folder_id: str, name: str, own_id: str = "") -> None:
        """Refuse a name that another resource of the folder has; an empty name is always free."""
        claimed = name if self.has_unique_names else ""
        taken = self.store.all(self.kind, scope=folder_id, name=claimed) if claimed else []
        if any(other.id != own_id for other in taken):
            raise already_exists(self.noun, name)

    def check_sizes(self, resource: R) -> None:
        """Refuse a resource, not stored yet, that is larger than its quotas have room for."""
        for quota in self.size_quotas:
            check_quota(self.store, quota, quota.amount(resource))

    def check_growth(self, before: R, after: R) -> None:
        """Refuse a change of a resource that is stored already, where its quotas have no room for what it adds."""
        for quota in self.size_quotas:
            if (growth := quota.amount(after) - quota.amount(before)) > 0:
                check_quota(self.store, quota, growth)


def require(store: Store, kind: type[R], resource_id: str) -> R:
    """Return a resource. Raises Refused with NOT_FOUND, which names its kind."""
    resource = store.get(kind, resource_id)
    if resource is None:
        raise not_found(kind.__name__, resource_id)
    return resource


def check_status(resource: Stored, *statuses: int) -> None:
    """Refuse a resource whose status is none of these."""
    field = resource.DESCRIPTOR.fields_by_name["status"]
    status = getattr(resource, field.name)
    if status not in statuses:
        name = field.enum_type.values_by_number[status].name
        raise precondition(f"{type(resource).__name__} {resource.id} is {name}")


def masked_paths(request: Message, mask: FieldMask, id_field: str) -> frozenset[str]:
    """Return the top fields that an update is about: those of its mask, or all of the request without a mask."""
    updatable = {field.name for field in request.DESCRIPTOR.fields} - {id_field, "update_mask"}
    if not mask.paths:
        return frozenset(updatable)
    unknown = [path for path in mask.paths if not _is_updatable(path, request, updatable)]
    if unknown:
        raise invalid(f"update_mask names no field of the request: {', '.join(unknown)}", "update_mask")
    return frozenset(path.split(".")[0] for path in mask.paths)


def _is_updatable(path: str, request: Message, updatable: Collection[str]) -> bool:
    top, *_ = path.split(".")
    return top in updatable and FieldMask(paths=[path]).IsValidForDescriptor(request.DESCRIPTOR)


def update(target: Message, request: Message, id_field: str) -> frozenset[str]:
    """Copy the masked fields of the same name from the request to the resource; return the paths of the mask."""
    mask = getattr(request, "update_mask", FieldMask())
    paths = masked_paths(request, mask, id_field)
    for path in paths & {field.name for field in target.DESCRIPTOR.fields}:
        copy_masked(request, target, path, mask)
    return paths


def copy_masked(request: Message, target: Message, name: str, mask: FieldMask) -> None:
    """Copy one top field that a mask names: all of it, or only those parts that the mask names."""
    parts = [path.partition(".")[2] for path in mask.paths if path.split(".")[0] == name]
    if parts and all(parts):
        source, own = getattr(request, name), getattr(target, name)
        FieldMask(paths=parts).MergeMessage(source, own, replace_message_field=True, replace_repeated_field=True)
    else:
        copy_field(request, target, name)


def fill(target: Message, request: Message) -> None:
    """Give a new resource every field of the same name and type that its request has."""
    for field in request.DESCRIPTOR.fields:
        own = target.DESCRIPTOR.fields_by_name.get(field.name)
        if own is not None and (_is_map(field) or (own.type, own.message_type) == (field.type, field.message_type)):
            copy_field(request, target, field.name)


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def copy_field(source: Message, target: Message, name: str) -> None:
    """Make one field of `target` what it is in `source`, unset included."""
    target.ClearField(name)
    field = source.DESCRIPTOR.fields_by_name[name]
    value = getattr(source, name)
    if field.is_repeated:
        getattr(target, name).MergeFrom(value)
    elif field.message_type is not None:
        if source.HasField(name):
            getattr(target, name).CopyFrom(value)
    elif not field.has_presence or source.HasField(name):
        setattr(target, name, value)


class _Dated(Protocol):
    @property
    def created_at(self) -> Timestamp: ...


def stamp(resource: _Dated) -> None:
    """Give a new resource its time, in whole seconds as the real API does."""
    clock.set_now(resource.created_at)
    resource.created_at.nanos = 0
