"""What the engine asks of a kind of resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import of_environment
from samovar.cloud.session import Session
from samovar.core.errors import SamovarError
from samovar.deploy.specs import Existing, Kind, Ref, Resource, Spec


@dataclass
class Names:
    """The way from the cloud's ids (and addresses) back to names. What is not ours keeps its id.

    `told` gives those that can stand in what machines are told.
    """

    known: dict[str, str] = field(default_factory=dict)
    told: dict[str, Ref] = field(default_factory=dict)

    def of(self, identifier: str) -> str:
        return self.known.get(identifier, identifier)


@dataclass(frozen=True)
class Work:
    """What resources are made with: the session, and the ids of what is there already, growing as more is made."""

    session: Session
    environment: str
    ids: dict[Ref, str]
    images: Mapping[str, str]

    def id(self, kind: Kind, name: str) -> str:
        return self.ids[Ref(kind, name)]

    def labels(self, resource: Resource) -> dict[str, str]:
        """The labels by which it is found again."""
        return of_environment(self.environment, resource.group)


@dataclass(frozen=True)
class Told:
    """A message of the API with what it does not say by itself; found by its id, name and labels as the message is."""

    message: Any

    @property
    def id(self) -> str:
        return str(self.message.id)

    @property
    def name(self) -> str:
        return str(self.message.name)

    @property
    def labels(self) -> Mapping[str, str]:
        return dict(self.message.labels)


@dataclass(frozen=True)
class Begun:
    """An operation that the cloud has begun on the resource of that id."""

    id: str
    operation: Operation


class Handler(Protocol):
    """One kind of resource."""

    def list(self, session: Session) -> list[Any]:
        """Every message of the folder, with what `read` needs."""

    def aliases(self, message: Any) -> Mapping[str, str]:
        """Other identifiers by which messages of later kinds refer to this one, with its name."""

    def read(self, message: Any, names: Names) -> Spec:
        """What the cloud has, in our words."""

    def create(self, work: Work, resource: Resource) -> Begun:
        """Begins to make it."""

    def update(self, work: Work, existing: Existing, wanted: Resource, fields: tuple[str, ...], /) -> Begun:
        """Begins to change the fields named."""

    def delete(self, session: Session, existing: Existing) -> Operation:
        """Begins to delete it."""


class Fixed:
    """For kinds that are known by their id alone, and never changed unless they say how."""

    def aliases(self, _: Any) -> Mapping[str, str]:
        return {}

    def update(self, _: Work, existing: Existing, __: Resource, fields: tuple[str, ...], /) -> Begun:
        raise SamovarError(f"{existing.ref}: {', '.join(fields)} cannot be changed")


def begun(operation: Operation, metadata: Any, identifier: Callable[[Any], str]) -> Begun:
    """Takes the id out of an operation's metadata, which the cloud fills in at once."""
    operation.metadata.Unpack(metadata)
    return Begun(identifier(metadata), operation)
