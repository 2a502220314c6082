"""Filters and orders of a List, as the protos of Compute Cloud describe them."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from yandex.cloud.compute.v1.instance_pb2 import Instance

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.resources.listing import filtered, ordered

MACHINES = [
    Instance(id="1", name="web", status=Instance.RUNNING, zone_id="a", created_at=Timestamp(seconds=20)),
    Instance(id="2", name='the "db"', status=Instance.STOPPED, zone_id="b", created_at=Timestamp(seconds=10)),
    Instance(id="3", name="AND", status=Instance.RUNNING, zone_id="b", created_at=Timestamp(seconds=30)),
]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", ["1", "2", "3"]),
        ('name="web"', ["1"]),
        ("name = 'web'", ["1"]),
        ('status="RUNNING"', ["1", "3"]),
        ('status != "RUNNING"', ["2"]),
        ('zone_id="b" AND status="RUNNING"', ["3"]),
        ('name="AND" AND zoneId="b"', ["3"]),
        ('id IN ("1", "3")', ["1", "3"]),
        ('id NOT IN ("1")', ["2", "3"]),
        (r'name="the \"db\""', ["2"]),
        ('created_at="1970-01-01T00:00:10Z"', ["2"]),
    ],
)
def test_a_filter_chooses_the_items_that_meet_all_its_conditions(text: str, ids: list[str]) -> None:
    assert [machine.id for machine in filtered(MACHINES, text)] == ids


@pytest.mark.parametrize("text", ["name", "name=web", 'name="a" OR name="b"', 'name="a" AND', 'nothing="a"'])
def test_a_filter_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="filter"):
        filtered(MACHINES, text)


@pytest.mark.parametrize(
    ("text", "ids"),
    [("", ["1", "2", "3"]), ("createdAt desc", ["3", "1", "2"]), ("created_at", ["2", "1", "3"]), ("name ASC", "321")],
)
def test_items_come_in_the_order_that_is_asked_for(text: str, ids: list[str]) -> None:
    assert [machine.id for machine in ordered(MACHINES, text)] == list(ids)


@pytest.mark.parametrize("text", ["nothing", "name up", "labels"])
def test_an_order_by_what_is_no_field_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="order_by"):
        ordered(MACHINES, text)
