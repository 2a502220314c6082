"""The whole way for one environment: what to do, and doing it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from samovar.cloud.session import Session
from samovar.cloudinit.metadata import Api
from samovar.core.errors import SamovarError
from samovar.core.output import Talk
from samovar.deploy.answers import when_answered
from samovar.deploy.apply import apply, clear
from samovar.deploy.collisions import check_free
from samovar.deploy.desired import desired
from samovar.deploy.observe import observe
from samovar.deploy.plan import KEPT, Plan, destruction, plan
from samovar.deploy.protection import check_deletions, check_file
from samovar.deploy.read_status import inspect
from samovar.deploy.seeded import record, record_if_missing
from samovar.deploy.specs import Existing, Kind, Observed
from samovar.deploy.status import Status
from samovar.deploy.validate import image_names, require_images
from samovar.deploy.wait import settle
from samovar.project.environment import Environment


@dataclass(frozen=True)
class Prepared:
    """A plan and what it was made from."""

    plan: Plan
    observed: Observed
    warnings: tuple[str, ...] = ()

    @property
    def kept(self) -> tuple[Existing, ...]:
        """What a destruction leaves."""
        changed = {change.ref for change in self.plan.changes}
        return tuple(existing for existing in self.observed.resources if existing.ref not in changed)


def prepare(session: Session, environment: Environment) -> Prepared:
    """What a rollout would do. Raises CloudError where an image is missing, ConfigError where a name is taken.

    Rows that are seen, and not recorded yet, are recorded before anything else.
    """
    names = image_names(environment)
    wanted = desired(environment, names, _api(session))
    observed = observe(session, environment.name)
    check_free(wanted, observed)
    require_images(names, observed)
    return Prepared(plan(wanted, observed), observed, record_if_missing(session, environment, observed))


def prepare_destruction(
    session: Session, environment: Environment, *, delete_data: bool = False, keep_address: bool = False
) -> Prepared:
    """What leaves nothing of the environment but its data disks, and its public addresses with `keep_address`.

    Raises Protected where `deletion_protection` forbids it, in the file or still in the cloud.
    """
    observed = observe(session, environment.name)
    check_file(environment)
    keep = (frozenset() if delete_data else KEPT) | ({Kind.ADDRESS} if keep_address else frozenset())
    the_plan = destruction(observed, keep=keep)
    check_deletions(the_plan)
    return Prepared(the_plan, observed)


def roll_out(session: Session, environment: Environment, prepared: Prepared, talk: Talk, *, timeout: float) -> Status:
    """Carries the plan out and waits until the environment is healthy; an empty plan is waited for as well.

    What is no longer wanted goes last: a group under another name, or in other subnets, has then taken over. At the
    end the addresses have to answer.
    """
    try:
        status = _settled(session, environment, prepared, talk, timeout)
        clear(session, prepared.plan, talk)
    except BaseException:
        with suppress(SamovarError):
            record(session, inspect(session, environment))
        raise
    for text in record(session, status):
        talk.say(text)
    return when_answered(session, status, talk)


def _settled(session: Session, environment: Environment, prepared: Prepared, talk: Talk, timeout: float) -> Status:
    running = apply(session, prepared.plan, prepared.observed, talk)
    status = None if prepared.plan.changes else inspect(session, environment)
    if status and status.healthy:
        return status
    with talk.step(f"{environment.name} gets healthy"):
        return settle(session, environment, running, talk, timeout=timeout)


def tear_down(session: Session, prepared: Prepared, talk: Talk) -> None:
    """Carries a destruction out."""
    apply(session, prepared.plan, prepared.observed, talk)
    clear(session, prepared.plan, talk)


def _api(session: Session) -> Api | None:
    """Where machines find the API, where they do not know it by themselves."""
    found = session.machines_api
    return Api(endpoint=found[0], ca=found[1]) if found else None
