"""The status names what the cloud lists so that a person can tell it."""

from __future__ import annotations

from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import ManagedInstance

from samovar.deploy.read_status import member_names


def test_a_machine_that_could_not_be_created_is_named_by_its_group() -> None:
    members = [ManagedInstance(), ManagedInstance(name="dev-bingo-2"), ManagedInstance()]
    assert member_names("dev-bingo", members) == [
        "dev-bingo (not created)",
        "dev-bingo-2",
        "dev-bingo (not created, 2)",
    ]
