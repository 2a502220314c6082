"""Carries out the steps of a plan: those of one stage at the same time, each shown with its seconds.

An interruption loses nothing: what was created carries its labels, and the next plan goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.output import Reporter
from samovar.deploy.plan import Plan, Step, stages
from samovar.deploy.resources.handler import Context, Started
from samovar.deploy.resources.registry import HANDLERS
from samovar.deploy.resources.resource import Kind, Observed, Ref


def apply(session: Session, plan: Plan, observed: Observed, reporter: Reporter) -> dict[Ref, Operation]:
    """Carry out the steps before the wait. Returns the operations of instance groups, which go on meanwhile."""
    context = Context(session, plan.environment, observed.ids(), dict(observed.images))
    return _carry_out(context, plan.steps, reporter)


def clean_up(session: Session, plan: Plan, observed: Observed, reporter: Reporter) -> None:
    """Carry out the deletions after the wait, when the machines that took over are healthy."""
    context = Context(session, plan.environment, observed.ids(), dict(observed.images))
    _carry_out(context, plan.cleanup, reporter)


def _carry_out(context: Context, steps: Iterable[Step], reporter: Reporter) -> dict[Ref, Operation]:
    running: dict[Ref, Operation] = {}
    for stage in stages(steps):
        results = run_concurrently(*(partial(_run_step, context, step, reporter) for step in stage))
        for step, result in zip(stage, results, strict=True):
            if result is None:
                continue
            context.ids[step.ref] = result.id
            if step.ref.kind is Kind.INSTANCE_GROUP:
                running[step.ref] = result.operation
    return running


def _run_step(context: Context, step: Step, reporter: Reporter) -> Started | None:
    """Start the step and wait for it, but for an instance group that is created or updated: that one goes on.

    A deletion comes seconds after that of what used the resource, which a large cloud frees later: it is repeated.
    """
    title = f"{step.action} {step.ref}"
    if step.desired and step.ref.kind is Kind.INSTANCE_GROUP:
        return _start_change(context, step)
    with reporter.step(title):
        if step.desired:
            started = _start_change(context, step)
            context.session.finish(started.operation, what=title)
            return started
        _delete(context, step, title)
        return None


def _start_change(context: Context, step: Step) -> Started:
    handler = HANDLERS[step.ref.kind]
    assert step.desired  # noqa: S101 - the caller has asked
    if step.existing:
        return handler.update(context, step.existing, step.desired, step.fields)
    return handler.create(context, step.desired)


def _delete(context: Context, step: Step, title: str) -> None:
    assert step.existing  # noqa: S101 - what is deleted exists
    delete = partial(HANDLERS[step.ref.kind].delete, context.session, step.existing)
    context.session.repeat_on_conflict(delete, what=title, timeout=context.session.timeouts.deletion)
