"""Which failed calls are repeated, and for how long."""

from __future__ import annotations

import math

import grpc
import pytest

from samovar.cloud.errors import CONFLICT, PROPAGATION, THROTTLED, UNREACHED, is_read, repeat_for

READ, CHANGE = "/yandex.cloud.compute.v1.InstanceService/List", "/yandex.cloud.compute.v1.InstanceService/Create"
CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("method", "status", "since_binding", "seconds"),
    [
        (READ, CODE.UNAVAILABLE, math.inf, UNREACHED),
        (CHANGE, CODE.UNAVAILABLE, math.inf, UNREACHED),
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
    assert repeat_for(method, status, since_binding) == seconds


def test_methods_that_read_are_known_by_their_full_and_their_short_name() -> None:
    assert is_read(READ)
    assert is_read("InstanceService.GetSerialPortOutput")
    assert not is_read(CHANGE)
    assert not is_read("SecretService.AddVersion")
