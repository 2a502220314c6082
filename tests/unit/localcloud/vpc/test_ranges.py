"""The ranges that a subnet may have."""

from __future__ import annotations

import pytest

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.vpc.networks.model import check_ranges


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "172.31.255.240/28", "192.168.0.0/24"])
def test_a_private_range_is_taken(cidr: str) -> None:
    check_ranges([cidr], [])


@pytest.mark.parametrize(
    "cidr",
    [
        "10.0.0.0/15",
        "10.0.0.0/29",
        "10.0.0.1/24",
        "8.8.8.0/24",
        "127.0.0.0/16",
        "169.254.0.0/16",
        "172.32.0.0/16",
        "198.18.0.0/24",
        "0.0.0.0/16",
        "240.0.0.0/24",
    ],
)
def test_a_range_of_another_use_or_size_is_refused(cidr: str) -> None:
    with pytest.raises(Refused):
        check_ranges([cidr], [])
