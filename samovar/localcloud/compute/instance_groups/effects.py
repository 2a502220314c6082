"""What a changed template does to the machines made from the old one (documented in deploy/instance.md)."""

from __future__ import annotations

from samovar.localcloud.compute.instance_groups.state import Effect, Facets, Goal


def effect_of(old: Facets, new: Facets, minimal_action: Effect) -> Effect:
    """The worst of the changes between two templates, raised to the group's minimal action; NONE without a change."""
    if old == new:
        return Effect.NONE
    if old.recreate != new.recreate:
        return Effect.RECREATE
    return max(minimal_action, Effect.LIVE if old.restart == new.restart else Effect.RESTART)


def goal_of(effect: Effect) -> Goal:
    """Where a machine goes for a change to take effect; a live one needs it to go nowhere."""
    return {Effect.RESTART: Goal.RESTART, Effect.RECREATE: Goal.RECREATE}.get(effect, Goal.STAY)
