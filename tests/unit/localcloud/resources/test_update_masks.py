"""Updates change what their masks name, and nothing beside it."""

from __future__ import annotations

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc.code_pb2 import Code
from yandex.cloud.compute.v1.snapshot_schedule_pb2 import SchedulePolicy, SnapshotSchedule, SnapshotSpec
from yandex.cloud.compute.v1.snapshot_schedule_service_pb2 import UpdateSnapshotScheduleRequest

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.resources.model import update

ID_FIELD = "snapshot_schedule_id"


def _request(*paths: str) -> UpdateSnapshotScheduleRequest:
    return UpdateSnapshotScheduleRequest(
        name="new",
        labels={"a": "new"},
        snapshot_spec=SnapshotSpec(description="new"),
        update_mask=FieldMask(paths=paths),
    )


def _schedule() -> SnapshotSchedule:
    return SnapshotSchedule(
        name="old",
        labels={"b": "old"},
        schedule_policy=SchedulePolicy(expression="0 3 * * *"),
        snapshot_spec=SnapshotSpec(description="old", labels={"c": "old"}),
    )


def test_a_part_of_a_field_is_changed_by_itself() -> None:
    schedule, expected = _schedule(), _schedule()
    update(schedule, _request("snapshot_spec.description"), ID_FIELD)
    expected.snapshot_spec.description = "new"
    assert schedule == expected


def test_a_field_that_is_named_itself_is_replaced() -> None:
    schedule = _schedule()
    update(schedule, _request("snapshot_spec", "snapshot_spec.description"), ID_FIELD)
    assert schedule.snapshot_spec == SnapshotSpec(description="new")


def test_without_a_mask_everything_is_replaced() -> None:
    schedule = _schedule()
    update(schedule, _request(), ID_FIELD)
    assert (schedule.name, dict(schedule.labels)) == ("new", {"a": "new"})
    assert not schedule.HasField("schedule_policy")


@pytest.mark.parametrize(
    "path", ["nothing", "snapshot_spec.nothing", "name.x", "labels.a", "update_mask", ID_FIELD, ""]
)
def test_a_path_that_leads_nowhere_is_refused(path: str) -> None:
    schedule = _schedule()
    with pytest.raises(Refused) as refused:
        update(schedule, _request(path), ID_FIELD)
    assert (refused.value.code, schedule) == (Code.INVALID_ARGUMENT, _schedule())
