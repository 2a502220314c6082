"""Protection from deletion: by an environment's file, and by the API's own flag on its resources."""

from __future__ import annotations

from samovar.core.errors import ExitCode, SamovarError
from samovar.deploy.plan import Plan
from samovar.deploy.resources.resource import Existing, Protectable, Spec
from samovar.project.environment import Environment

REMEDY = "write deletion_protection: false in config.yaml and roll that out, and nothing else; then run this again"


class Protected(SamovarError):
    """`deletion_protection` forbids what was asked for."""

    code = ExitCode.REFUSED


def deleted(plan: Plan) -> tuple[Existing[Spec], ...]:
    """Return the resources that a plan deletes, those that it replaces among them."""
    return tuple(step.existing for step in plan.all_steps if step.existing and not step.desired)


def irreplaceable(plan: Plan) -> tuple[Existing[Spec], ...]:
    """Return the resources that a plan deletes for good: no rollout brings them back."""
    return tuple(existing for existing in deleted(plan) if existing.spec.IRREPLACEABLE)


def check_file(environment: Environment) -> None:
    """Raises Protected where the environment's file forbids to destroy it."""
    if environment.deletion_protection:
        raise Protected(
            f"{environment.name} is protected: its config.yaml says deletion_protection: true", remedy=REMEDY
        )


def check_deletions(plan: Plan) -> None:
    """Raises Protected where a plan deletes what the API protects: the cloud would refuse it halfway."""
    kept = [str(each.ref) for each in deleted(plan) if _is_protected(each)]
    if kept:
        raise Protected(f"{plan.environment}: deletion_protection is on for {', '.join(kept)}", remedy=REMEDY)


def _is_protected(existing: Existing[Spec]) -> bool:
    return isinstance(existing.spec, Protectable) and existing.spec.deletion_protection
