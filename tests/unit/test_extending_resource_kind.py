"""A resource kind by the list in docs/extending.md: a spec and a handler, a kind, and a line of the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from yandex.cloud.compute.v1 import placement_group_service_pb2 as rpc
from yandex.cloud.compute.v1.placement_group_pb2 import PlacementGroup as PlacementGroupMessage
from yandex.cloud.compute.v1.placement_group_pb2 import SpreadPlacementStrategy
from yandex.cloud.compute.v1.placement_group_service_pb2_grpc import PlacementGroupServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.session import LOCAL, Session
from samovar.core.output import PlainReporter
from samovar.deploy.apply import apply, clean_up
from samovar.deploy.observe import list_owned
from samovar.deploy.plan import Action, destruction, plan
from samovar.deploy.resources import registry
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, started
from samovar.deploy.resources.registry import quota_demand
from samovar.deploy.resources.resource import Desired, Existing, Kind, Observed, Resource, Spec

# A test cannot add a member to an enum: the kind of gateways, which have neither fields nor references, stands for one.
PLACEMENT_GROUP = Kind.GATEWAY


@dataclass(frozen=True)
class PlacementGroup(Spec):
    """A placement group, which spreads machines over hosts."""

    KIND = PLACEMENT_GROUP
    IMMUTABLE = frozenset({"strategy"})
    QUOTA = "compute.placementGroups.count"

    strategy: str = "spread"


class PlacementGroupHandler(Handler[PlacementGroup, PlacementGroupMessage]):
    """Creates placement groups with the spread strategy."""

    KIND = PLACEMENT_GROUP

    def list(self, session: Session) -> list[PlacementGroupMessage]:
        request = rpc.ListPlacementGroupsRequest(folder_id=session.folder_id)
        return session.list(session.client(PlacementGroupServiceStub).List, request, lambda page: page.placement_groups)

    def read(self, message: PlacementGroupMessage, _: IdIndex) -> PlacementGroup:
        return PlacementGroup("spread" if message.HasField("spread_placement_strategy") else "partition")

    def create(self, context: Context, resource: Resource[PlacementGroup]) -> Started:
        request = rpc.CreatePlacementGroupRequest(
            folder_id=context.session.folder_id,
            name=resource.name,
            labels=context.labels(resource),
            spread_placement_strategy=SpreadPlacementStrategy(),
        )
        operation = context.session.client(PlacementGroupServiceStub).Create(request)
        return started(operation, rpc.CreatePlacementGroupMetadata(), lambda metadata: metadata.placement_group_id)

    def delete(self, session: Session, existing: Existing[PlacementGroup]) -> Operation:
        request = rpc.DeletePlacementGroupRequest(placement_group_id=existing.id)
        return session.client(PlacementGroupServiceStub).Delete(request)


class PlacementGroups:
    """Stands for a session whose cloud has placement groups alone."""

    folder_id = "folder-1"
    timeouts = LOCAL

    def __init__(self) -> None:
        self.messages: dict[str, PlacementGroupMessage] = {}

    def client(self, stub: object) -> PlacementGroups:
        assert stub is PlacementGroupServiceStub
        return self

    def list(self, rpc: Any, request: Any, items: Any) -> list[PlacementGroupMessage]:
        return list(items(rpc(request)))

    def finish(self, operation: Operation, **_: object) -> Operation:
        return operation

    def repeat_on_conflict(self, begin: Callable[[], Operation], **_: object) -> Operation:
        return begin()

    def List(self, _: object) -> rpc.ListPlacementGroupsResponse:  # noqa: N802 - an RPC bears its name in the API
        return rpc.ListPlacementGroupsResponse(placement_groups=self.messages.values())

    def Create(self, request: rpc.CreatePlacementGroupRequest) -> Operation:  # noqa: N802 - the same
        identifier = f"fd8{len(self.messages)}"
        self.messages[identifier] = PlacementGroupMessage(
            id=identifier, name=request.name, labels=request.labels, spread_placement_strategy=SpreadPlacementStrategy()
        )
        operation = Operation()
        operation.metadata.Pack(rpc.CreatePlacementGroupMetadata(placement_group_id=identifier))
        return operation

    def Delete(self, request: rpc.DeletePlacementGroupRequest) -> Operation:  # noqa: N802 - the same
        del self.messages[request.placement_group_id]
        return Operation()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> PlacementGroups:
    """Step 4: a line of the registry."""
    handlers = {**registry.HANDLERS, PLACEMENT_GROUP: PlacementGroupHandler()}
    monkeypatch.setattr("samovar.deploy.apply.HANDLERS", handlers)
    return PlacementGroups()


def observed_in(cloud: PlacementGroups) -> Observed:
    handler = PlacementGroupHandler()
    messages = list_owned(handler, cast("Session", cloud), "dev")
    existing = (Existing[Spec](each.name, handler.read(each, IdIndex()), "", each.id) for each in messages)
    return Observed("dev", tuple(existing))


def test_a_new_kind_is_planned_created_observed_counted_and_destroyed(cloud: PlacementGroups) -> None:
    session, desired = cast("Session", cloud), Desired("dev", (Resource("dev-spread", PlacementGroup()),))
    assert quota_demand(desired.resources, rolling=False) == {"compute.placementGroups.count": 1}
    first = plan(desired, Observed("dev"))
    assert [(step.action, step.name) for step in first.all_steps] == [(Action.CREATE, "dev-spread")]
    apply(session, first, Observed("dev"), PlainReporter())
    assert plan(desired, observed_in(cloud)).all_steps == ()
    last = destruction(observed_in(cloud))
    apply(session, last, observed_in(cloud), PlainReporter())
    clean_up(session, last, observed_in(cloud), PlainReporter())
    assert cloud.messages == {}


def test_an_immutable_field_replaces_the_resource(cloud: PlacementGroups) -> None:
    created = Desired("dev", (Resource("dev-spread", PlacementGroup()),))
    apply(cast("Session", cloud), plan(created, Observed("dev")), Observed("dev"), PlainReporter())
    changed = plan(Desired("dev", (Resource("dev-spread", PlacementGroup("partition")),)), observed_in(cloud))
    assert [step.action for step in changed.all_steps] == [Action.DELETE, Action.CREATE]
    assert changed.all_steps[0].reason == "replaced: strategy: spread -> partition"
