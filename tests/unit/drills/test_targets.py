"""The targets of a drill: groups and machines by name, role and kind."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from samovar.deploy.status import GroupStatus, MachineStatus, Status
from samovar.drills.targets import NoTarget, group_name, select_machines
from samovar.project.environment import load_environment
from tests.support.checkout import PROJECT

DEV = load_environment("dev", PROJECT)


def machine(name: str) -> MachineStatus:
    return MachineStatus(name, "ru-central1-a", "10.0.0.1", "RUNNING_ACTUAL", "image", "HEALTHY")


STATUS = Status("dev", (GroupStatus("bingo", 2, "image", (machine("dev-bingo-1"), machine("dev-bingo-2"))),))


def test_select_machines_takes_a_group_or_a_machine() -> None:
    assert select_machines(STATUS, "bingo") == ("dev-bingo-1",)
    assert select_machines(STATUS, "bingo", all_machines=True) == ("dev-bingo-1", "dev-bingo-2")
    assert select_machines(STATUS, "bingo", last=True) == ("dev-bingo-2",)
    assert select_machines(STATUS, "bingo-2") == select_machines(STATUS, "dev-bingo-2") == ("dev-bingo-2",)
    with pytest.raises(NoTarget, match="no group or machine bingo-3") as error:
        select_machines(STATUS, "bingo-3")
    assert error.value.remedy == "there are bingo, dev-bingo-1, dev-bingo-2"


ROLES: Mapping[str, str] = {
    "role:front": "nginx",
    "role:inner": "bingo",
    "role:data": "postgres",
    "kind:app": "bingo",
    "bingo": "bingo",
    "bingo:last": "bingo",
    "role:front:last": "nginx",
}


@pytest.mark.parametrize("target", ROLES)
def test_a_target_role_is_resolved_by_the_properties_of_a_group_and_not_by_its_name(target: str) -> None:
    assert group_name(DEV, target) == ROLES[target]


@pytest.mark.parametrize("target", ["role:back", "kind:monitoring"])
def test_a_role_that_no_group_has_is_no_target(target: str) -> None:
    with pytest.raises(NoTarget, match=f"dev has no group of {target}"):
        group_name(DEV, target)
