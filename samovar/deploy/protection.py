"""Protection from deletion: by an environment's file, and by the API's own flag on what was rolled out from it."""

from __future__ import annotations

from samovar.core.errors import ExitCode, SamovarError
from samovar.deploy.plan import Action, Plan
from samovar.deploy.specs import Existing, Kind, Protectable
from samovar.project.environment import Environment

LOST = frozenset({Kind.ADDRESS, Kind.SECRET, Kind.RECORD, Kind.DISK})
"""What no rollout brings back: another public address is given out, another password made, the rows are gone."""


class Protected(SamovarError):
    """`deletion_protection` forbids it."""

    code = ExitCode.REFUSED


def deleted(plan: Plan) -> tuple[Existing, ...]:
    """What a plan deletes, the old halves of what it replaces among it."""
    going = (change.before for change in plan.changes if change.action in {Action.DELETE, Action.REPLACE})
    return tuple(existing for existing in going if existing)


def lost(plan: Plan) -> tuple[Existing, ...]:
    """What a plan deletes for good."""
    return tuple(existing for existing in deleted(plan) if existing.ref.kind in LOST)


def check_file(environment: Environment) -> None:
    """Raises Protected where the environment's file forbids to destroy it."""
    if environment.deletion_protection:
        raise Protected(f"{environment.name} is protected: its config.yaml says deletion_protection: true", remedy=_WAY)


def check_deletions(plan: Plan) -> None:
    """Raises Protected where a plan deletes what the API protects: the cloud would refuse it halfway."""
    kept = [str(each.ref) for each in deleted(plan) if _is_protected(each)]
    if kept:
        raise Protected(f"{plan.environment}: deletion_protection is on for {', '.join(kept)}", remedy=_WAY)


def _is_protected(existing: Existing) -> bool:
    return isinstance(existing.spec, Protectable) and existing.spec.deletion_protection


_WAY = "write deletion_protection: false in config.yaml and roll that out, and nothing else; then run this again"
