"""Some failed calls are repeated for a while."""

from __future__ import annotations

import math

import grpc
import pytest

from samovar.cloud.errors import BUSY, CONFLICT, PROPAGATION, THROTTLED, CallFailed, repeat_for
from samovar.localcloud.api.pipeline import NO_SPACE

READ, CHANGE = "/yandex.cloud.compute.v1.InstanceService/List", "/yandex.cloud.compute.v1.InstanceService/Create"
CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("method", "status", "since_binding", "seconds"),
    [
        (READ, CODE.UNAVAILABLE, math.inf, 1.0),
        (CHANGE, CODE.UNAVAILABLE, math.inf, 1.0),
        (READ, CODE.INTERNAL, math.inf, THROTTLED),
        (CHANGE, CODE.INTERNAL, math.inf, 0),
        (READ, CODE.RESOURCE_EXHAUSTED, math.inf, THROTTLED),
        (CHANGE, CODE.RESOURCE_EXHAUSTED, math.inf, 0),  # a quota, which stays used up
        (CHANGE, CODE.ABORTED, math.inf, CONFLICT),
        (CHANGE, CODE.PERMISSION_DENIED, math.inf, 0),
        (CHANGE, CODE.PERMISSION_DENIED, 5.0, PROPAGATION),
        (CHANGE, CODE.PERMISSION_DENIED, PROPAGATION, 0),
        (CHANGE, CODE.FAILED_PRECONDITION, 5.0, 0),
        (READ, CODE.INVALID_ARGUMENT, 5.0, 0),
    ],
)
def test_only_failures_that_pass_by_themselves_are_repeated(
    method: str, status: grpc.StatusCode, since_binding: float, seconds: float
) -> None:
    pause = repeat_for(method, status, "Quota limit exceeded", since_binding=since_binding, unreached=1.0)
    assert pause == seconds


def test_a_change_that_was_refused_because_of_too_many_calls_is_repeated() -> None:
    """Its text names no quota; one that is used up stays so."""
    code = CODE.RESOURCE_EXHAUSTED
    pause = repeat_for(CHANGE, code, "Too many requests", since_binding=math.inf, unreached=1.0)
    assert pause == THROTTLED


def test_a_change_for_which_the_host_has_no_room_is_refused_at_once() -> None:
    """It was repeated for half a minute, as if there had been too many calls, and the remedy was to wait."""
    pause = repeat_for(CHANGE, CODE.RESOURCE_EXHAUSTED, NO_SPACE, since_binding=math.inf, unreached=1.0)
    assert pause == 0
    assert "make room there" in CallFailed("DiskService.Create", CODE.RESOURCE_EXHAUSTED, NO_SPACE).remedy


def test_a_taken_name_of_an_account_leads_to_the_clouds_other_folders() -> None:
    taken = CallFailed("ServiceAccountService.Create", CODE.ALREADY_EXISTS, "dev-groups already exists")
    assert "cloud's other folders" in taken.remedy
    assert "in the folder" in CallFailed("DiskService.Create", CODE.ALREADY_EXISTS, "exists").remedy


def test_too_many_operations_at_a_time_are_no_quota() -> None:
    """The text is Compute Cloud's own; it was seen as a used-up quota, and the call not repeated."""
    details = "The limit on maximum number of active operations has exceeded."
    pause = repeat_for(CHANGE, CODE.RESOURCE_EXHAUSTED, details, since_binding=math.inf, unreached=1.0)
    assert pause == BUSY
