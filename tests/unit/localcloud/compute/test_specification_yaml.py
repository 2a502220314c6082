"""A group's specification as YAML: the documented forms, and that nothing which is written there is passed over."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import AttachedDiskSpec, AutoHealingPolicy, DeployPolicy
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2 import CreateInstanceGroupRequest

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.compute.instance_groups.specification_yaml import parse

SPECIFICATION = """
name: bingo
service_account_id: aje1
labels: {tier: web, on: yes}
instance_template:
  name: bingo-{instance.index}
  platform_id: standard-v3
  resources_spec: {memory: 2g, cores: 2}
  boot_disk_spec: {mode: READ_WRITE, disk_spec: {image_id: fd8, type_id: network-ssd, size: 10G}}
  network_interface_specs: [{network_id: enp, subnet_ids: [e9b], primary_v4_address_spec: {}}]
  metadata: {user-data: "#cloud-config\\n", retries: 3, precise: 1.5, enabled: true}
  scheduling_policy: {preemptible: no}
scale_policy: {fixed_scale: {size: 2}}
deploy_policy: {max_unavailable: 0, max_expansion: 1, startup_duration: 0s, minimal_action: RECREATE}
allocation_policy: {zones: [{zone_id: ru-central1-a}]}
health_checks_spec:
  health_check_specs: [{interval: 2s, timeout: 1s, unhealthy_threshold: 3, http_options: {port: 8080, path: /ping}}]
  max_checking_health_duration: 2m
auto_healing_policy: {auto_healing_action: RECREATE}
load_balancer_spec: {target_group_spec: {name: bingo-tg}, max_opening_traffic_duration: 120s}
"""


def _parsed(text: str) -> CreateInstanceGroupRequest:
    return parse(text, CreateInstanceGroupRequest(folder_id="b1g"))


def test_the_documented_forms_are_understood() -> None:
    request = _parsed(SPECIFICATION)
    template = request.instance_template
    assert request.folder_id == "b1g"
    assert template.name == "bingo-{instance.index}"
    assert (template.resources_spec.memory, template.resources_spec.cores) == (2 << 30, 2)
    assert template.boot_disk_spec.mode == AttachedDiskSpec.READ_WRITE
    assert template.boot_disk_spec.disk_spec.size == 10 << 30
    metadata = {"user-data": "#cloud-config\n", "retries": "3", "precise": "1.5", "enabled": "true"}
    assert dict(template.metadata) == metadata
    assert dict(request.labels) == {"tier": "web", "True": "true"}  # YAML 1.1: `on` is a boolean too
    assert template.network_interface_specs[0].HasField("primary_v4_address_spec")
    assert request.deploy_policy.minimal_action == DeployPolicy.RECREATE
    assert request.deploy_policy.HasField("startup_duration")
    check = request.health_checks_spec.health_check_specs[0]
    assert (check.interval.seconds, check.http_options.port, check.unhealthy_threshold) == (2, 8080, 3)
    assert request.health_checks_spec.max_checking_health_duration.seconds == 120
    assert request.auto_healing_policy.auto_healing_action == AutoHealingPolicy.RECREATE


@pytest.mark.parametrize(
    ("text", "size"),
    [("1k", 1 << 10), ("3m", 3 << 20), ("4g", 4 << 30), ("1T", 1 << 40), ("1p", 1 << 50), ("7", 7)],
)
def test_sizes_are_binary(text: str, size: int) -> None:
    request = _parsed(f"instance_template: {{resources_spec: {{memory: {text}}}}}")
    assert request.instance_template.resources_spec.memory == size


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nam: x", "nam"),
        ("instance_template: {resources: {}}", "instance_template.resources"),
        ("instance_template: {resources_spec: {memory: 2x}}", "memory"),
        ("instance_template: [1]", "instance_template"),
        ("labels: [1]", "labels"),
        ("variables: {a: b}", "variables"),
        ("deploy_policy: {startup_duration: soon}", "startup_duration"),
        ("deploy_policy: {minimal_action: NOTHING}", "minimal_action"),
        ("scale_policy: {fixed_scale: {size: 1}, auto_scale: {max_size: 3}}", "scale_type"),
        ("- a", "mapping"),
        ("", "mapping"),
        ("a: [", "YAML"),
        ("{a: &x [1], b: *x}", "alias"),
        ('{"\\ud800": 1}', "understood"),
        ("? [a]\n: b", "YAML"),
    ],
)
def test_an_unknown_field_is_named(text: str, named: str) -> None:
    with pytest.raises(Refused, match=named):
        _parsed(text)


NAMES = st.sampled_from(["name", "labels", "instance_template", "scale_policy", "metadata", "deploy_policy", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), values, max_size=3),
    max_leaves=10,
)


@given(VALUES | st.text(max_size=40))
def test_no_specification_is_a_defect(value: object) -> None:
    with contextlib.suppress(Refused):
        _parsed(value if isinstance(value, str) else repr(value))
