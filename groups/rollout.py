"""The whole way for one environment: what to do, and doing it."""

from __future__ import annotations

from dataclasses import dataclass

from cloud.session import Session
from envs.model import Environment
from groups.apply import apply
from groups.desired import desired
from groups.gates import settle
from groups.images import image_names, require_images
from groups.observe import observe
from groups.plan import Plan, destruction, plan
from groups.spec import Observed
from groups.status import Status
from kit.output import Talk


@dataclass(frozen=True)
class Prepared:
    """A plan and what it was made from."""

    plan: Plan
    observed: Observed


def prepare(session: Session, environment: Environment) -> Prepared:
    """What a rollout would do. Raises CloudError where an image is missing."""
    names = image_names(environment)
    wanted = desired(environment, names)
    observed = observe(session, environment.name)
    require_images(names, observed)
    return Prepared(plan(wanted, observed), observed)


def prepare_destruction(session: Session, environment: Environment) -> Prepared:
    """What leaves nothing of the environment."""
    observed = observe(session, environment.name)
    return Prepared(destruction(observed), observed)


def roll_out(session: Session, environment: Environment, prepared: Prepared, talk: Talk, *, timeout: float) -> Status:
    """Carries the plan out and waits until the environment is healthy; an empty plan is waited for as well."""
    running = apply(session, prepared.plan, prepared.observed, talk)
    with talk.step(f"{environment.name} gets healthy"):
        return settle(session, environment, running, talk, timeout=timeout)
