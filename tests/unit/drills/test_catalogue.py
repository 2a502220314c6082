"""An environment allows drills by its cloud, its groups and their roles."""

from __future__ import annotations

import pytest

from samovar.drills.catalogue import catalogue, runnable, why_not
from samovar.project.drill import Drill
from samovar.project.environment import load_environment
from tests.support.checkout import PROJECT

DEV = load_environment("dev", PROJECT)


def stated(fault: str, target: str = "bingo", **keys: object) -> Drill:
    return Drill.model_validate({"name": "mine", "fault": fault, "target": target, **keys})


@pytest.mark.parametrize(
    ("drill", "reason"),
    [
        (stated("kill", "bingo-2"), None),
        (stated("kill", "dev-bingo-2"), None),
        (stated("kill", "bingo-3"), "dev has no group or machine bingo-3"),
        (stated("kill", "role:front"), None),
        (stated("kill", "kind:monitoring"), "dev has no group of kind:monitoring"),
        (stated("cut", peers=("postgres",)), None),
        (stated("cut", peers=("dns",)), None),
        (stated("cut", peers=("redis",)), "dev has no group or machine redis"),
        (stated("kill", also=({"fault": "kill", "target": "redis"},)), "dev has no group or machine redis"),
    ],
)
def test_a_drill_needs_the_groups_that_it_names(drill: Drill, reason: str | None) -> None:
    assert why_not(drill, DEV, local=True) == reason


def test_faults_inside_machines_need_the_local_cloud() -> None:
    hang = stated("hang", unit="bingo.service")
    assert (why_not(hang, DEV, local=True), why_not(hang, DEV, local=False)) == (None, "only on the local cloud")
    assert why_not(stated("drain"), DEV, local=False) is None


def test_all_are_those_without_arguments_that_the_environment_allows() -> None:
    names = {drill.name for drill in runnable(DEV, local=True)}
    assert "edge-power" in names
    assert "kill" not in names, "it takes an argument"
    listed = {entry.drill: entry for entry in catalogue(DEV, local=False).drills}
    assert listed["kill"].arguments == ("target",)
    assert {name for name, entry in listed.items() if entry.not_here} >= {"bingo-process", "crash"}
