"""The plan: what must change so that the cloud has what is desired, in the order in which it can be done, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from typing_extensions import TypedDict

from samovar.deploy.specs import Desired, Existing, InstanceGroup, Kind, Observed, Ref, Resource, Template

KINDS = tuple(Kind)
KEPT = frozenset({Kind.DISK, Kind.RECORD})
"""What holds data, and what is known of it: never deleted unless that is asked for."""


class Action(StrEnum):
    """What happens to a resource. `replace` is a new one in the place of the old."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True)
class Change:
    """One resource that changes. `fields` names what an update changes."""

    action: Action
    reason: str
    before: Existing | None = None
    after: Resource | None = None
    fields: tuple[str, ...] = ()

    @property
    def ref(self) -> Ref:
        resource = self.after or self.before
        assert resource  # noqa: S101 - a change has at least one side
        return resource.ref


@dataclass(frozen=True)
class Plan:
    """All changes, in the order of their kinds; empty when there is nothing to do."""

    environment: str
    changes: tuple[Change, ...] = ()

    def summary(self) -> str:
        """One line: how much of what."""
        counts = Counter(change.action for change in self.changes)
        found = ", ".join(f"{counts[action]} to {action}" for action in Action if counts[action])
        return f"{self.environment}: {found or 'nothing to do'}"

    def to_json(self) -> PlanJson:
        return {
            "environment": self.environment,
            "changes": [
                {
                    "action": change.action,
                    "kind": change.ref.kind,
                    "name": change.ref.name,
                    "reason": change.reason,
                }
                for change in self.changes
            ],
        }


class ChangeJson(TypedDict):
    """One resource that changes."""

    action: Action
    kind: Kind
    name: str
    reason: str


class PlanJson(TypedDict):
    """What a rollout would do, in its order; no changes: nothing to do."""

    environment: str
    changes: list[ChangeJson]


def plan(desired: Desired, observed: Observed, *, delete: frozenset[Kind] = frozenset()) -> Plan:
    """What is missing is created, what differs is updated or replaced, what is no longer wanted is deleted.

    A resource that refers to a replaced one is replaced as well: its reference would point to nothing. Of what
    holds data only the kinds in `delete` are deleted.
    """
    wanted = {resource.ref: resource for resource in desired.resources}
    there = {existing.ref: existing for existing in observed.resources}
    replaced = _replaced(wanted, there)
    changes = [change for change in _deletions(wanted, there) if change.ref.kind not in KEPT - delete]
    for ref, resource in wanted.items():
        changes.extend(_change(resource, there.get(ref), replaced.get(ref)))
    depths = _depths({**there, **wanted})
    changes.sort(key=lambda change: (KINDS.index(change.ref.kind), depths[change.ref], change.ref.name))
    return Plan(desired.environment, tuple(changes))


def destruction(observed: Observed, *, keep: frozenset[Kind] = KEPT) -> Plan:
    """The plan that leaves nothing but the resources of the kinds to `keep`."""
    kept = tuple(existing for existing in observed.resources if existing.ref.kind in keep)
    return plan(Desired(observed.environment, kept), observed, delete=KEPT)


def early_deletions(the_plan: Plan) -> tuple[Existing, ...]:
    """What must go before anything is made: the old halves of replaced resources and all that refers to them."""
    early: dict[Ref, Existing] = {}
    for change in the_plan.changes:
        existing = change.before
        if existing and _goes(change) and (change.action is Action.REPLACE or early.keys() & {*existing.spec.refs()}):
            early[existing.ref] = existing
    return tuple(reversed(early.values()))


def late_deletions(the_plan: Plan) -> tuple[Existing, ...]:
    """What goes last, once nothing refers to it any more."""
    early = early_deletions(the_plan)
    gone = [change.before for change in the_plan.changes if change.before and _goes(change)]
    return tuple(existing for existing in reversed(gone) if existing not in early)


def levels(the_plan: Plan) -> tuple[tuple[Change, ...], ...]:
    """What is made and changed, in steps: those of one step do not wait for each other."""
    level: dict[Ref, int] = {}
    steps: dict[int, list[Change]] = {}
    for change in the_plan.changes:
        if change.after:
            waits = [level[ref] + 1 for ref in change.after.spec.refs() if ref in level]
            level[change.ref] = max(waits, default=0)
            steps.setdefault(level[change.ref], []).append(change)
    return tuple(tuple(steps[number]) for number in sorted(steps))


def _depths(resources: Mapping[Ref, Resource]) -> dict[Ref, int]:
    """How many resources of its own kind each stands on, one on the other."""

    def depth(ref: Ref) -> int:
        below = [other for other in resources[ref].spec.refs() if other.kind is ref.kind and other in resources]
        return max((depth(other) + 1 for other in below), default=0)

    return {ref: depth(ref) for ref in resources}


def _goes(change: Change) -> bool:
    return change.action in (Action.REPLACE, Action.DELETE)


def _replaced(wanted: Mapping[Ref, Resource], there: Mapping[Ref, Existing]) -> dict[Ref, str]:
    """Why each resource must be replaced, for those that must; kinds come in order, so one pass reaches all."""
    reasons: dict[Ref, str] = {}
    for ref, existing in sorted(there.items(), key=lambda item: KINDS.index(item[0].kind)):
        if ref not in wanted:
            continue
        fixed = existing.spec.FIXED.intersection(existing.spec.differing(wanted[ref].spec))
        moved = [str(other) for other in existing.spec.refs() if other in reasons]
        if fixed:
            reasons[ref] = _differences(existing, wanted[ref], tuple(sorted(fixed)))
        elif moved:
            reasons[ref] = f"replaced: {', '.join(moved)}"
    return reasons


def _change(resource: Resource, existing: Existing | None, replaced: str | None) -> Iterator[Change]:
    if existing is None:
        yield Change(Action.CREATE, "not there", after=resource)
    elif replaced:
        yield Change(Action.REPLACE, replaced, existing, resource)
    elif fields := existing.spec.differing(resource.spec):
        yield Change(Action.UPDATE, _differences(existing, resource, fields), existing, resource, fields)


def _deletions(wanted: Mapping[Ref, Resource], there: Mapping[Ref, Existing]) -> Iterator[Change]:
    for ref, existing in there.items():
        if ref not in wanted:
            yield Change(Action.DELETE, "no longer wanted", before=existing)


def _differences(before: Resource, after: Resource, fields: tuple[str, ...]) -> str:
    if "template" in fields and isinstance(before.spec, InstanceGroup) and isinstance(after.spec, InstanceGroup):
        plain = [_difference(before.spec, after.spec, name) for name in fields if name != "template"]
        return "; ".join([*plain, *_template(before.spec.template, after.spec.template)])
    return "; ".join(_difference(before.spec, after.spec, name) for name in fields)


def _difference(before: object, after: object, name: str) -> str:
    return f"{name}: {_shown(getattr(before, name))} -> {_shown(getattr(after, name))}"


TOLD = frozenset({"metadata", "tells"})
"""Fields of a template whose differences are said by the keys of the metadata."""


def _template(before: Template, after: Template) -> Iterator[str]:
    for name in (item.name for item in fields(Template)):
        if name not in TOLD and getattr(before, name) != getattr(after, name):
            yield _difference(before, after, name)
    changed = sorted({key for key, _ in set(before.metadata) ^ set(after.metadata)})
    if changed:
        yield f"metadata: {', '.join(changed)}"
    yield "machines are replaced one at a time"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "none"
    return str(value) or "none"
