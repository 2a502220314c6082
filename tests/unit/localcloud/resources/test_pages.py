"""Lists are read page by page while what they list comes and goes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from google.rpc.code_pb2 import Code
from yandex.cloud.access.access_pb2 import AccessBinding, ListAccessBindingsRequest, ListAccessBindingsResponse
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.disk_service_pb2 import (
    ListDiskOperationsRequest,
    ListDiskOperationsResponse,
    ListDisksRequest,
    ListDisksResponse,
)
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.resources.rpc import page


def _page(disks: Sequence[Disk], token: str = "", size: int = 2) -> ListDisksResponse:
    answer = page(ListDisksRequest(page_size=size, page_token=token), disks)
    assert isinstance(answer, ListDisksResponse)
    return answer


def _disks(letters: str) -> list[Disk]:
    return [Disk(id=letter) for letter in letters]


def _ids(disks: Sequence[Disk]) -> str:
    return "".join(disk.id for disk in disks)


def test_a_client_that_deletes_each_page_reaches_every_resource() -> None:
    left, token = _disks("abcdefg"), ""
    while True:
        answer = _page(left, token)
        left = [disk for disk in left if disk not in answer.disks]
        token = answer.next_page_token
        if not token:
            break
    assert left == []


def test_a_resource_that_comes_before_the_last_one_read_is_no_reason_to_read_one_twice() -> None:
    first = _page(_disks("bdfh"))
    assert (_ids(first.disks), _ids(_page(_disks("abdfh"), first.next_page_token).disks)) == ("bd", "fh")


def test_a_list_in_another_order_than_that_of_ids_goes_on_after_the_last_one_read() -> None:
    newest_first = [Operation(id=letter) for letter in "gcfa"]
    first = page(ListDiskOperationsRequest(page_size=2), newest_first)
    assert isinstance(first, ListDiskOperationsResponse)
    later = [Operation(id="b"), *newest_first]
    second = page(ListDiskOperationsRequest(page_size=2, page_token=first.next_page_token), later)
    assert isinstance(second, ListDiskOperationsResponse)
    assert [operation.id for operation in second.operations] == ["f", "a"]


def test_what_has_no_id_is_read_by_its_number() -> None:
    bindings = [AccessBinding(role_id=role) for role in ("admin", "editor", "viewer")]
    first = page(ListAccessBindingsRequest(page_size=2), bindings)
    assert isinstance(first, ListAccessBindingsResponse)
    second = page(ListAccessBindingsRequest(page_token=first.next_page_token), bindings)
    assert isinstance(second, ListAccessBindingsResponse)
    assert [binding.role_id for binding in second.access_bindings] == ["viewer"]


@pytest.mark.parametrize(("token", "size"), [("x", 2), ("2", 2), ("-a", 2), ("x-a", 2), ("", -1)])
def test_a_page_that_cannot_be_is_refused(token: str, size: int) -> None:
    with pytest.raises(Refused) as refused:
        _page(_disks("abc"), token, size)
    assert refused.value.code == Code.INVALID_ARGUMENT
