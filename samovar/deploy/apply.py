"""Carrying out a plan: what does not wait for each other side by side, each shown with its seconds.

Interrupted anywhere, nothing is lost: what was made carries its labels, and the next plan goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import groupby

from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.session import Session, side_by_side
from samovar.core.output import Talk
from samovar.deploy.plan import Action, Change, Plan, early_deletions, late_deletions, levels
from samovar.deploy.resources.handler import Begun, Work
from samovar.deploy.resources.registry import HANDLERS
from samovar.deploy.specs import Existing, Kind, Observed, Ref

DELETE_TIMEOUT = 600.0


def apply(session: Session, the_plan: Plan, observed: Observed, talk: Talk) -> dict[Ref, Operation]:
    """Makes and changes what the plan says. Returns the operations of groups, which go on: the gates wait for them."""
    _delete(session, early_deletions(the_plan), talk)
    work = Work(session, the_plan.environment, observed.ids(), dict(observed.images))
    running: dict[Ref, Operation] = {}
    for changes in levels(the_plan):
        begun = side_by_side(*(partial(_make, work, change, talk) for change in changes))
        for change, made in zip(changes, begun, strict=True):
            work.ids[change.ref] = made.id
            if change.ref.kind is Kind.GROUP:
                running[change.ref] = made.operation
    return running


def clear(session: Session, the_plan: Plan, talk: Talk) -> None:
    """Deletes what the plan no longer wants, once nothing needs it and the machines in its place are healthy."""
    _delete(session, late_deletions(the_plan), talk)


def _make(work: Work, change: Change, talk: Talk) -> Begun:
    """Begins a creation or an update, and waits for it unless it is a group's."""
    what = f"{change.action} {change.ref}"
    if change.ref.kind is Kind.GROUP:
        return _begin(work, change)
    with talk.step(what):
        made = _begin(work, change)
        work.session.finish(made.operation, what=what)
        return made


def _begin(work: Work, change: Change) -> Begun:
    handler = HANDLERS[change.ref.kind]
    assert change.after  # noqa: S101 - deletions take another way
    if change.action is Action.UPDATE and change.before:
        return handler.update(work, change.before, change.after, change.fields)
    return handler.create(work, change.after)


def _delete(session: Session, resources: Iterable[Existing], talk: Talk) -> None:
    """Kind by kind; security groups, which name each other, one by one."""
    for kind, same in groupby(resources, key=lambda existing: existing.ref.kind):
        calls = [partial(_delete_one, session, existing, talk) for existing in same]
        for step in [[call] for call in calls] if kind is Kind.SECURITY_GROUP else [calls]:
            side_by_side(*step)


def _delete_one(session: Session, existing: Existing, talk: Talk) -> None:
    what = f"delete {existing.ref}"
    with talk.step(what):
        operation = HANDLERS[existing.ref.kind].delete(session, existing)
        session.finish(operation, what=what, timeout=DELETE_TIMEOUT)
