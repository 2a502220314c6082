"""The local cloud's own host_as: the operator's alone, and clear about what it finds no hold of."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.cloud.local_admin import Host
from samovar.cloud.local_rest import Rest
from samovar.core.errors import CloudError
from tests.support.simulated import RunningCloud


def host_as(cloud: RunningCloud, token: str | None = None) -> Host:
    return Host(Rest(cloud.endpoint.rest, ca=Path(cloud.endpoint.ca), token=token or cloud.endpoint.token))


def test_a_unit_that_does_not_run_cannot_crash(cloud: RunningCloud) -> None:
    assert host_as(cloud).processes("fhm1", "bingo.service") == ()
    with pytest.raises(CloudError, match=r"bingo\.service of fhm1"):
        host_as(cloud).crash("fhm1", "bingo.service")


@pytest.mark.parametrize("unit", ["..", "bingo", "a/../b.service", "*.service"])
def test_a_unit_is_the_name_of_a_service(cloud: RunningCloud, unit: str) -> None:
    with pytest.raises(CloudError, match="not served"):
        host_as(cloud).processes("fhm1", unit)


def test_only_the_operator_may_reach_into_a_machine(cloud: RunningCloud) -> None:
    with pytest.raises(CloudError, match="401"):
        host_as(cloud, "t1.stranger.token").crash("fhm1", "bingo.service")


def test_simulated_machines_have_no_addresses_that_could_be_asked(cloud: RunningCloud) -> None:
    assert host_as(cloud).addresses() is None


def test_open_devices_are_reported_while_a_machine_with_the_users_of_the_host_runs(
    cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samovar.localcloud.cloud.device_policy_unavailable", lambda: "this host has no systemd")
    assert host_as(cloud).status()["warnings"] == []
    monkeypatch.setattr(cloud.driver, "host_users", lambda: {"fhm1": "it has a data disk"})
    (warning,) = host_as(cloud).status()["warnings"]
    assert warning.startswith("this host has no systemd: root in a machine with the users of this host can open every")
