"""Methods that read are told from those that change something."""

from __future__ import annotations

import pytest

from samovar.core.api_methods import is_read


@pytest.mark.parametrize(
    ("method", "read"),
    [
        ("/yandex.cloud.compute.v1.InstanceService/List", True),
        ("/yandex.cloud.compute.v1.InstanceService/Create", False),
        ("yandex.cloud.compute.v1.InstanceService.List", True),
        ("InstanceService.GetSerialPortOutput", True),
        ("SecretService.AddVersion", False),
    ],
)
def test_a_method_that_reads_is_recognized_by_its_full_and_its_short_name(method: str, read: bool) -> None:  # noqa: FBT001 - a case
    assert is_read(method) is read
