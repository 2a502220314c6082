"""A report takes states, fields and texts out of the API's messages."""

from __future__ import annotations

import pytest
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.disk_service_pb2 import CreateDiskMetadata, ListDisksResponse
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.certify.messages import State, fields_of, scrubbed, states_of


def test_each_resource_with_a_named_status_has_a_state() -> None:
    disks = [Disk(id="one", status=Disk.READY), Disk(id="two", status=Disk.CREATING)]
    assert [*states_of(ListDisksResponse(disks=disks))] == [
        State("Disk", "one", "READY"),
        State("Disk", "two", "CREATING"),
    ]


def test_the_response_of_an_operation_is_read() -> None:
    operation = Operation(id="operation")
    operation.metadata.Pack(CreateDiskMetadata(disk_id="one"))
    operation.response.Pack(Disk(id="one", status=Disk.READY, labels={"env": "dev"}))
    assert [*states_of(operation)] == [State("Disk", "one", "READY")]
    assert {*fields_of(operation)} == {
        "id",
        "metadata",
        "metadata(CreateDiskMetadata).disk_id",
        "response",
        "response(Disk).id",
        "response(Disk).status",
        "response(Disk).labels{}",
    }


def test_a_field_of_a_list_has_one_path() -> None:
    disks = [Disk(id="one"), Disk(id="two", name="second")]
    assert {*fields_of(ListDisksResponse(disks=disks))} == {"disks[]", "disks[].id", "disks[].name"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Disk fhmmeo4qqac5fg6kjgn0 is attached", "Disk <id> is attached"),
        ("10.66.0.0/20 overlaps 10.66.0.0/20", "<address> overlaps <address>"),
        ("of somebody@example.org, request 0a1b2c3d-0000-4000-8000-0123456789ab", "of <e-mail>, request <uuid>"),
        ("token t1.9euelZ.AbC-d", "token <token>"),
        ("a host tower, not towering", "a host <name>, not towering"),
        ("Network with name samovar-certify already exists", "Network with name samovar-certify already exists"),
    ],
)
def test_a_text_is_without_ids_addresses_and_secrets(text: str, shown: str) -> None:
    assert scrubbed(text, ("tower", "")) == shown
