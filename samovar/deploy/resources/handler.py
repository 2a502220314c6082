"""The interface between the engine and a kind of resource."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Protocol, TypeVar

from google.protobuf.message import Message
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import of_environment
from samovar.cloud.session import Session
from samovar.core.errors import SamovarError
from samovar.deploy.resources.resource import Existing, Kind, Ref, Resource, Spec


class Labelled(Protocol):
    """A message of the API that describes a resource."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...


SpecT = TypeVar("SpecT", bound=Spec)
MessageT = TypeVar("MessageT", bound=Labelled)
MetadataT = TypeVar("MetadataT", bound=Message)


@dataclass(frozen=True)
class WithMessage(Generic[MessageT]):
    """A message to which a handler adds what the API lists apart, such as access bindings."""

    message: MessageT

    @property
    def id(self) -> str:
        return self.message.id

    @property
    def name(self) -> str:
        return self.message.name

    @property
    def labels(self) -> Mapping[str, str]:
        return self.message.labels


@dataclass
class IdIndex:
    """The names of resources by id or address. An id that is not listed stands for itself.

    `placeholders` gives the resources whose ids and addresses can stand in the metadata of machines.
    """

    names: dict[str, str] = field(default_factory=dict)
    placeholders: dict[str, Ref] = field(default_factory=dict)

    def name_of(self, identifier: str) -> str:
        return self.names.get(identifier, identifier)


@dataclass(frozen=True)
class Context:
    """The session, and the ids of existing resources, to which each created one is added. `images` are ids by name."""

    session: Session
    environment: str
    ids: dict[Ref, str]
    images: Mapping[str, str]

    def id(self, kind: Kind, name: str) -> str:
        return self.ids[Ref(kind, name)]

    def labels(self, resource: Resource[Spec]) -> dict[str, str]:
        """Return the labels by which the resource is found again."""
        return of_environment(self.environment, resource.group)


@dataclass(frozen=True)
class Started:
    """An operation that the cloud has started on the resource of that id."""

    id: str
    operation: Operation


class Handler(ABC, Generic[SpecT, MessageT]):
    """Lists, reads and changes the resources of one kind."""

    KIND: ClassVar[Kind]
    NAMESPACE: ClassVar[Kind | None] = None
    """The kind whose names are shared, where the API has one kind for two of ours; None for the own kind."""

    @abstractmethod
    def list(self, session: Session) -> list[MessageT]:
        """Return the messages of all resources of the kind in the folder."""

    def aliases(self, message: MessageT) -> Mapping[str, str]:
        """Return other identifiers by which messages of later kinds refer to this one, each with its name."""
        del message
        return {}

    @abstractmethod
    def read(self, message: MessageT, index: IdIndex) -> SpecT:
        """Return the spec of the resource that a message describes."""

    @abstractmethod
    def create(self, context: Context, resource: Resource[SpecT]) -> Started:
        """Start the creation of a resource."""

    def update(
        self, context: Context, existing: Existing[SpecT], desired: Resource[SpecT], fields: tuple[str, ...]
    ) -> Started:
        """Start a change of the given fields."""
        del context, desired
        raise SamovarError(f"{existing.ref}: {', '.join(fields)} cannot be changed")

    @abstractmethod
    def delete(self, session: Session, existing: Existing[SpecT]) -> Operation:
        """Start the deletion of a resource."""


def started(operation: Operation, metadata: MetadataT, identifier: Callable[[MetadataT], str]) -> Started:
    """Take the id of a new resource out of the operation's metadata, which the cloud fills in at once."""
    operation.metadata.Unpack(metadata)
    return Started(identifier(metadata), operation)
