"""`status -o json` keeps its shape, and a group is healthy when all of it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from samovar.core.output import to_plain
from samovar.deploy.status import Endpoints, GroupStatus, MachineStatus, Status

FIRST = MachineStatus(
    "dev-nginx-1", "ru-central1-a", "10.30.0.3", "RUNNING_ACTUAL", "samovar-nginx-0123456789ab", "HEALTHY", 4711
)
SECOND = replace(FIRST, name="dev-nginx-2", address="10.30.0.4", pid=4712)
GROUP = GroupStatus("nginx", 2, "samovar-nginx-0123456789ab", (FIRST, SECOND))


def shown_machine(group: GroupStatus) -> dict[str, object]:
    """The first machine of a group, as JSON shows it."""
    shown: Any = to_plain(Status("dev", (group,)))
    machine: dict[str, object] = shown["groups"][0]["machines"][0]
    return machine


def test_the_json_has_the_documented_shape() -> None:
    status = Status("dev", (GROUP,), Endpoints(http=("http://127.66.1.2/",)), warnings=("rows",))
    assert to_plain(status) == {
        "environment": "dev",
        "healthy": True,
        "endpoints": {"http": ["http://127.66.1.2/"], "https": [], "tcp": []},
        "groups": [
            {
                "name": "nginx",
                "size": 2,
                "healthy": True,
                "image": "samovar-nginx-0123456789ab",
                "machines": [
                    {
                        "name": "dev-nginx-1",
                        "zone": "ru-central1-a",
                        "address": "10.30.0.3",
                        "status": "RUNNING_ACTUAL",
                        "image": "samovar-nginx-0123456789ab",
                        "balancer": "HEALTHY",
                        "pid": 4711,
                        "message": None,
                        "id": "",
                        "created_at": None,
                    },
                    {
                        "name": "dev-nginx-2",
                        "zone": "ru-central1-a",
                        "address": "10.30.0.4",
                        "status": "RUNNING_ACTUAL",
                        "image": "samovar-nginx-0123456789ab",
                        "balancer": "HEALTHY",
                        "pid": 4712,
                        "message": None,
                        "id": "",
                        "created_at": None,
                    },
                ],
                "id": None,
            }
        ],
        "unanswered": [],
        "warnings": ["rows"],
        "simulated": False,
    }


def test_an_unhealthy_machine_is_shown_with_its_last_message() -> None:
    ill = replace(FIRST, status="CHECKING_HEALTH", message="the data disk is empty")
    group = replace(GROUP, machines=(ill, SECOND))
    assert group.summary() == "nginx: 1 of 2 healthy, dev-nginx-1 CHECKING_HEALTH (the data disk is empty)"
    assert shown_machine(group)["message"] == "the data disk is empty"


def test_the_pid_is_null_without_a_local_host() -> None:
    far = GroupStatus("nginx", 1, "samovar-nginx-0123456789ab", (replace(FIRST, pid=None),))
    assert shown_machine(far)["pid"] is None


@pytest.mark.parametrize(
    "machines",
    [
        (),
        (FIRST,),
        (FIRST, SECOND, replace(SECOND, name="dev-nginx-3")),
        (FIRST, replace(SECOND, status="RUNNING_OUTDATED")),
        (FIRST, replace(SECOND, status="CREATING_INSTANCE")),
        (FIRST, replace(SECOND, balancer="UNHEALTHY")),
        (FIRST, replace(SECOND, balancer="ABSENT")),
    ],
)
def test_a_group_needs_all_machines_healthy(machines: tuple[MachineStatus, ...]) -> None:
    group = replace(GROUP, machines=machines)
    assert not group.healthy
    assert not Status("dev", (GROUP, group)).healthy


def test_without_a_balancer_the_groups_status_decides() -> None:
    assert replace(GROUP, machines=(replace(FIRST, balancer=None), replace(SECOND, balancer=None))).healthy


def test_an_environment_without_groups_is_not_healthy() -> None:
    assert not Status("dev", ()).healthy


def test_the_summary_names_unhealthy_machines() -> None:
    group = replace(GROUP, machines=(replace(FIRST, status="CHECKING_HEALTH"), replace(SECOND, balancer="INITIAL")))
    assert group.summary() == (
        "nginx: 0 of 2 healthy, dev-nginx-1 CHECKING_HEALTH, dev-nginx-2 INITIAL for the balancer"
    )
