"""The doctor's pure judgements: what an environment needs of the quotas, and which role covers which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from samovar.core.constants import GIB
from samovar.core.kernel import INOTIFY
from samovar.deploy.resources.registry import quota_demand
from samovar.deploy.resources.resource import Desired
from samovar.images.load import load_images
from samovar.ops.doctor import programs
from samovar.ops.doctor.capacity import Quota, additional, bake_demand, judge
from samovar.ops.doctor.finding import Finding, State
from samovar.ops.doctor.iam import covered
from samovar.ops.doctor.programs import disk_space, kernel_limits
from tests.support.checkout import PROJECT, ROOT
from tests.support.checkout import environment as load_environment
from tests.support.environments import desired_of


def edges() -> Desired:
    environment = load_environment("edges", ROOT / "tests/envs")
    return desired_of(environment, {"samovar-edge": "samovar-edge-0123456789ab"})


def test_quota_demand_includes_the_surplus_machine_of_a_rollout() -> None:
    actual = quota_demand(edges().resources, rolling=True)
    assert actual["compute.instances.count"] == 3
    assert actual["compute.instanceCores.count"] == 6
    assert actual["compute.instanceMemory.size"] == 3 * GIB
    assert actual["compute.ssdDisks.size"] == 15 * GIB
    assert (actual["vpc.networks.count"], actual["ylb.networkLoadBalancers.count"]) == (1, 1)
    assert quota_demand(edges().resources, rolling=False)["compute.instances.count"] == 2


def test_existing_resources_are_not_demanded_again() -> None:
    more = additional(quota_demand(edges().resources, rolling=True), quota_demand(edges().resources, rolling=False))
    assert more["compute.instances.count"] == 1
    assert "vpc.networks.count" not in more


def test_a_bake_counts_the_machines_of_its_widest_group() -> None:
    images = load_images(PROJECT)
    actual = bake_demand((("samovar-base",), ("bingo", "samovar-edge", "samovar-postgres"), ("postgres",)), images)
    assert (actual["compute.instances.count"], actual["compute.instanceCores.count"]) == (3, 6)
    assert actual["vpc.externalAddresses.count"] == 3
    assert actual["compute.images.count"] == 5
    assert actual["compute.ssdDisks.size"] == 32 * GIB, "the database's, of which there is one at a time"


def test_the_remedy_requests_the_exact_quota() -> None:
    quotas = {"vpc.networks.count": Quota("vpc.networks.count", limit=2, usage=1)}
    (actual,) = judge({"vpc.networks.count": 2}, quotas, "cloud-1")
    assert actual.state is State.FAILURE
    assert actual.message == "vpc.networks.count: 2 more, 1 of 2 used: short of 1"
    assert actual.remedy.endswith("--resource-id cloud-1 --desired-limit quota-id=vpc.networks.count,value=3")


def test_sizes_are_requested_in_bytes_and_shown_in_gib() -> None:
    quotas = {"compute.ssdDisks.size": Quota("compute.ssdDisks.size", limit=200 * GIB, usage=190 * GIB)}
    (actual,) = judge({"compute.ssdDisks.size": 15 * GIB}, quotas, "cloud-1")
    assert "15 GiB more, 190 GiB of 200 GiB used: short of 5 GiB" in actual.message
    assert f"value={205 * GIB}" in actual.remedy


def test_a_quota_that_the_api_does_not_show_is_unknown() -> None:
    (actual,) = judge({"vpc.gateways.count": 1}, {}, "cloud-1")
    assert actual.state is State.UNKNOWN


@pytest.mark.parametrize(
    ("role", "held", "enough"),
    [
        ("compute.editor", ["compute.admin"], True),
        ("compute.editor", ["editor"], True),
        ("vpc.admin", ["editor"], False),
        ("vpc.admin", ["vpc.editor"], False),
        ("iam.serviceAccounts.admin", ["iam.admin"], True),
        ("lockbox.admin", ["admin"], True),
        ("lockbox.admin", [], False),
    ],
)
def test_a_role_includes_lesser_roles(role: str, held: list[str], enough: bool) -> None:  # noqa: FBT001 - a parameter
    assert covered(role, held) is enough


def test_a_low_kernel_limit_is_a_finding_with_figures_and_the_command(tmp_path: Path) -> None:
    INOTIFY.file(tmp_path).parent.mkdir(parents=True)
    INOTIFY.file(tmp_path).write_text("128\n")
    (finding,) = kernel_limits(root=False, proc=tmp_path)
    assert finding.state is State.WARNING
    assert finding.message == "fs.inotify.max_user_instances is 128, enough for 8 machines; 1000 need 8064"
    assert finding.remedy == "raise it as root: sysctl -w fs.inotify.max_user_instances=8064"
    (finding,) = kernel_limits(root=True, proc=tmp_path)
    assert finding.state is State.OK
    assert "`cloud up` raises it to 8064" in finding.message


@pytest.mark.parametrize(
    ("asked", "find", "reason", "state", "message"),
    [
        (
            "user_namespaces_unavailable",
            programs._users,
            "the kernel is 5.10.0",
            State.WARNING,
            "machines have the users of this host, for the kernel is 5.10.0: root in one could become root on the host",
        ),
        (
            "user_namespaces_unavailable",
            programs._users,
            "",
            State.OK,
            "a machine without a data disk has users of its own",
        ),
        (
            "device_policy_unavailable",
            programs._devices,
            "no systemd",
            State.WARNING,
            "no systemd: root in a machine with the users of this host can open every block device of it",
        ),
        (
            "device_policy_unavailable",
            programs._devices,
            "",
            State.OK,
            "a machine can open only the devices that it is given",
        ),
        ("loop_devices_unavailable", programs._loop_devices, "no loop devices", State.FAILURE, "no loop devices"),
        (
            "loop_devices_unavailable",
            programs._loop_devices,
            "",
            State.OK,
            "the kernel makes a loop device for each disk of a machine",
        ),
    ],
)
def test_what_the_kernel_lacks_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    find: Callable[[], Finding],
    reason: str,
    state: State,
    message: str,
) -> None:
    monkeypatch.setattr(programs, asked, lambda: reason)
    actual = find()
    assert (actual.state, actual.message) == (state, message)


def test_a_home_without_room_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "state" / "home"
    assert disk_space(home).state is State.OK, "the home itself is not there yet"
    monkeypatch.setattr("samovar.ops.doctor.programs.LEAST_SPACE", 1 << 62)
    finding = disk_space(home)
    assert finding.state is State.FAILURE
    assert f"GiB are free on the disk of {home}" in finding.message
