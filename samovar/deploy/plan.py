"""The plan: the steps that lead from the observed resources to the desired ones, each with its reason. Pure.

What a person sees, what `apply` carries out and what the property tests run are these steps, in this order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import groupby
from typing import Annotated, TypeVar

from pydantic import Field

from samovar.deploy.resources.instance_group import InstanceGroup
from samovar.deploy.resources.instance_template import Template
from samovar.deploy.resources.registry import namespace
from samovar.deploy.resources.resource import Desired, Existing, Kind, Observed, Ref, Resource, Spec, Unchanged

KINDS = tuple(Kind)
METADATA = frozenset({"metadata", "metadata_refs"})
"""The fields of a template whose differences are named by the keys of the metadata."""
Resources = Mapping[Ref, Resource[Spec]]
T = TypeVar("T")
Hidden = Annotated[T, Field(exclude=True)]
"""A field that `plan -o json` does not show."""


class Action(StrEnum):
    """The actions of steps. To replace a resource takes two: its deletion, and a creation under the same name."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True)
class Step:
    """One change of one resource. Steps of one `stage` do not depend on each other and are carried out together."""

    action: Action
    kind: Kind
    name: str
    reason: str
    stage: int
    existing: Hidden[Existing[Spec] | None] = None
    """None for a creation."""
    desired: Hidden[Resource[Spec] | None] = None
    """None for a deletion."""
    fields: Hidden[tuple[str, ...]] = ()
    """The fields that an update changes."""

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self.name)


@dataclass(frozen=True)
class Plan:
    """The steps of a rollout; none where there is nothing to do.

    `cleanup` comes after the rollout has waited for health: it deletes what nothing refers to any more. No step touches
    what is `used`, resources that the environment names by id, or `kept`, data that the environment no longer mentions.
    """

    environment: str
    steps: tuple[Step, ...] = ()
    cleanup: tuple[Step, ...] = ()
    used: tuple[Unchanged, ...] = ()
    kept: tuple[Unchanged, ...] = ()

    @property
    def all_steps(self) -> tuple[Step, ...]:
        return (*self.steps, *self.cleanup)

    @property
    def replaced(self) -> frozenset[Ref]:
        """The resources that are deleted and created anew."""
        deleted = {step.ref for step in self.steps if step.action is Action.DELETE}
        return frozenset(deleted & {step.ref for step in self.steps if step.action is Action.CREATE})

    def summary(self) -> str:
        """Return one line with the number of resources by what happens to them."""
        replaced = self.replaced
        counts = Counter(str(step.action) for step in self.all_steps if step.ref not in replaced)
        counts["replace"] = len(replaced)
        order = (Action.CREATE, Action.UPDATE, "replace", Action.DELETE)
        text = ", ".join(f"{counts[action]} to {action}" for action in order if counts[action])
        return f"{self.environment}: {text or 'nothing to do'}"


def stages(steps: Iterable[Step]) -> Iterator[tuple[Step, ...]]:
    """Yield the steps of each stage."""
    for _, together in groupby(steps, key=lambda step: step.stage):
        yield tuple(together)


def plan(desired: Desired, observed: Observed, *, data: Collection[Ref] = ()) -> Plan:
    """Return the plan that creates what is missing, updates or replaces what differs, and deletes the rest.

    A resource that refers to a replaced one is replaced as well: its reference would point to nothing. One whose name
    another kind is to get, such as a public address before an internal one, goes before that is created. Of the
    resources that hold data only `data` is deleted.
    """
    after = {resource.ref: resource for resource in desired.resources}
    before = {existing.ref: existing for existing in observed.resources}
    replaced = _replaced(after, before)
    left = [ref for ref in before if ref not in after]
    kept = [ref for ref in left if before[ref].spec.KEPT_ON_DESTROY and ref not in data]
    removed = [ref for ref in left if ref not in kept]
    reasons = replaced | _in_the_way(removed, after)
    early = _deleted_early(removed, reasons, before)
    deletions = tuple(_deletions([before[ref] for ref in early], reasons, first=0))
    changes = tuple(_changes(after, before, replaced, first=_next_stage(deletions)))
    late = [before[ref] for ref in removed if ref not in early]
    cleanup = tuple(_deletions(late, reasons, first=_next_stage((*deletions, *changes))))
    unchanged = tuple(Unchanged(*ref, before[ref].id) for ref in kept)
    return Plan(desired.environment, (*deletions, *changes), cleanup, observed.used, unchanged)


def destruction(observed: Observed, *, delete_data: bool = False, keep_addresses: bool = False) -> Plan:
    """Return the plan that deletes everything, but no addresses with `keep_addresses`.

    Data goes with `delete_data`, or where the environment says so of a disk, and then with what is known of that disk.
    """
    kept = [each for each in observed.resources if keep_addresses and each.ref.kind is Kind.ADDRESS]
    data = [each for each in observed.resources if each.spec.KEPT_ON_DESTROY]
    going = {each.ref for each in data if delete_data or each.spec.expendable}
    records = {each.ref for each in data if going.intersection(each.spec.refs())}
    return plan(Desired(observed.environment, tuple(kept)), observed, data=going | records)


def _replaced(after: Resources, before: Mapping[Ref, Existing[Spec]]) -> dict[Ref, str]:
    """Return the reason for each resource that must be replaced. In the order of creation one pass is enough."""
    reasons: dict[Ref, str] = {}
    for ref in _creation_order(before):
        if ref not in after:
            continue
        existing, desired = before[ref].spec, after[ref].spec
        immutable = sorted(existing.IMMUTABLE.intersection(existing.differing(desired)))
        moved = [str(other) for other in existing.refs() if other in reasons]
        if immutable:
            reasons[ref] = f"replaced: {_describe_differences(existing, desired, immutable)}"
        elif moved:
            reasons[ref] = f"replaced with {', '.join(moved)}"
    return reasons


def _in_the_way(removed: Iterable[Ref], after: Resources) -> dict[Ref, str]:
    """Return the reason for each resource that must go first, for a desired one gets its name in the API."""
    takers = {(namespace(ref.kind), ref.name): ref for ref in after}
    named = {ref: takers.get((namespace(ref.kind), ref.name)) for ref in removed}
    return {ref: f"{taker} takes its name" for ref, taker in named.items() if taker}


def _deleted_early(removed: Iterable[Ref], going: Collection[Ref], before: Mapping[Ref, Existing[Spec]]) -> set[Ref]:
    """Return what to delete before anything is created: all that is `going`, and removed ones that refer to it."""
    early = set(going)
    for ref in _creation_order({ref: before[ref] for ref in removed}):
        if early.intersection(before[ref].spec.refs()):
            early.add(ref)
    return early


def _deletions(resources: Iterable[Existing[Spec]], reasons: Mapping[Ref, str], *, first: int) -> Iterator[Step]:
    """Kind by kind, in the reverse order of creation."""
    by_ref = {existing.ref: existing for existing in resources}
    depths = _depths(by_ref)
    order = reversed(_creation_order(by_ref))
    for number, (_, together) in enumerate(groupby(order, key=lambda ref: (ref.kind, depths[ref]))):
        for ref in together:
            reason = reasons.get(ref, "no longer part of the environment")
            yield Step(Action.DELETE, *ref, reason, first + number, existing=by_ref[ref])


def _changes(
    after: Resources, before: Mapping[Ref, Existing[Spec]], replaced: Mapping[Ref, str], *, first: int
) -> Iterator[Step]:
    """Yield creations and updates; each comes after the changes of the resources that it refers to."""
    stage_of: dict[Ref, int] = {}
    steps: list[Step] = []
    for ref in _creation_order(after):
        stage = max((stage_of[other] + 1 for other in after[ref].spec.refs() if other in stage_of), default=first)
        if step := _change(after[ref], before.get(ref), replaced.get(ref), stage):
            stage_of[ref] = stage
            steps.append(step)
    yield from sorted(steps, key=lambda step: step.stage)


def _change(resource: Resource[Spec], existing: Existing[Spec] | None, replaced: str | None, stage: int) -> Step | None:
    if existing is None:
        return Step(Action.CREATE, *resource.ref, "does not exist", stage, desired=resource)
    if replaced:
        return Step(Action.CREATE, *resource.ref, replaced, stage, desired=resource)
    if changed := existing.spec.differing(resource.spec):
        reason = _describe_differences(existing.spec, resource.spec, changed)
        return Step(Action.UPDATE, *resource.ref, reason, stage, existing, resource, changed)
    return None


def _creation_order(resources: Resources) -> list[Ref]:
    depths = _depths(resources)
    return sorted(resources, key=lambda ref: (KINDS.index(ref.kind), depths[ref], ref.name))


def _depths(resources: Resources) -> dict[Ref, int]:
    """Return the length of the longest chain of references from each resource within its own kind."""

    def depth(ref: Ref) -> int:
        same = [other for other in resources[ref].spec.refs() if other.kind is ref.kind and other in resources]
        return max((depth(other) + 1 for other in same), default=0)

    return {ref: depth(ref) for ref in resources}


def _next_stage(steps: tuple[Step, ...]) -> int:
    return max((step.stage for step in steps), default=-1) + 1


def _describe_differences(before: Spec, after: Spec, names: Iterable[str]) -> str:
    """Return the fields that differ with both values; of a template each of its own fields."""
    return "; ".join(text for name in names for text in _field(before, after, name))


def _field(before: Spec, after: Spec, name: str) -> Iterator[str]:
    if name == "template" and isinstance(before, InstanceGroup) and isinstance(after, InstanceGroup):
        yield from _template(before.template, after.template)
    else:
        yield _difference(before, after, name)


def _template(before: Template, after: Template) -> Iterator[str]:
    for name in (item.name for item in fields(Template)):
        if name not in METADATA and getattr(before, name) != getattr(after, name):
            yield _difference(before, after, name)
    if changed := sorted({key for key, _ in set(before.metadata) ^ set(after.metadata)}):
        yield f"metadata: {', '.join(changed)}"
    yield "machines are replaced one at a time"


def _difference(before: object, after: object, name: str) -> str:
    return f"{name}: {_text(getattr(before, name))} -> {_text(getattr(after, name))}"


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_text, value)) or "none"
    return str(value) or "none"
