from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yandex.cloud.compute.v1.instance_pb2 import NetworkSettings as MachineNetworkSettings
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import (
    DnsRecordSpec,
    InstanceGroup,
    InstanceTemplate,
    NetworkInterfaceSpec,
    NetworkSettings,
    PrimaryAddressSpec,
    ResourcesSpec,
)

from samovar.localcloud.compute.instance_groups.instance_request import MemberPlace, create_request, expand

SYSTEM = {
    "instance_group.id": "cl1abc",
    "instance_group.labels.env": "dev",
    "instance.index": "2",
    "instance.index_in_zone": "1",
    "instance.labels.role": "edge",
    "instance.short_id": "ilum",
    "instance.tag": "second",
    "instance.zone_id": "ru-central1-a",
}
USER = {"short_ru-central1-a": "rc1a", "ip_second": "10.30.0.12", "quoted": "{instance.index}", "empty": ""}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{instance_group.id}-{instance.short_id}", "cl1abc-ilum"),
        ("{instance_group.labels.env}/{instance.labels.role}", "dev/edge"),
        ("production-{short_{instance.zone_id}}-{instance.index}", "production-rc1a-2"),
        ("{ip_{instance.tag}}", "10.30.0.12"),
        ("{unknown}", "{unknown}"),
        ("{short_{instance.nothing}}", "{short_{instance.nothing}}"),
        ("{{instance.index}}", "{instance.index}"),
        ("{{ip_second}}", "{ip_second}"),
        ("{{ip_{instance.tag}}}", "{ip_second}"),
        ("{{unknown}}", "{{unknown}}"),
        ("{{instance.index}-x}", "{2-x}"),
        ("{quoted}", "{instance.index}"),
        ("<{empty}>", "<>"),
        ('{"a": {"b": {instance.index}}}', '{"a": {"b": 2}}'),
        ("${HOME} {} {{}} {% if x %} {{ x }} }{", "${HOME} {} {{}} {% if x %} {{ x }} }{"),
    ],
)
def test_variables_of_a_template_are_replaced_as_documented(template: str, expected: str) -> None:
    assert expand(template, SYSTEM, USER) == expected


@given(st.text(alphabet=st.sampled_from("ab{}.-_ \n")))
def test_text_without_variables_is_not_changed(text: str) -> None:
    assert expand(text, {"instance.index": "1"}, {"user": "x"}) == text


def test_a_machine_of_a_group_gets_the_dns_records_of_its_template() -> None:
    record = DnsRecordSpec(fqdn="{instance.index}.web.internal.", ttl=60, ptr=True)
    address = PrimaryAddressSpec(dns_record_specs=[record])
    template = InstanceTemplate(
        network_interface_specs=[NetworkInterfaceSpec(subnet_ids=["e9b1"], primary_v4_address_spec=address)]
    )
    place = MemberPlace(index=2, index_in_zone=1, short_id="ilum", zone="ru-central1-a", tag="")
    request = create_request(InstanceGroup(instance_template=template), place, {"e9b1": "ru-central1-a"})
    (filled,) = request.network_interface_specs[0].primary_v4_address_spec.dns_record_specs
    assert (filled.fqdn, filled.ttl, filled.ptr) == ("2.web.internal.", 60, True)


def test_a_machine_of_a_group_gets_the_network_and_the_processors_of_its_template() -> None:
    template = InstanceTemplate(
        network_settings=NetworkSettings(type=NetworkSettings.SOFTWARE_ACCELERATED),
        resources_spec=ResourcesSpec(cores=8, memory=96 << 30, gpus=1),
    )
    place = MemberPlace(index=1, index_in_zone=1, short_id="ilum", zone="ru-central1-a", tag="")
    request = create_request(InstanceGroup(instance_template=template), place, {})
    assert request.network_settings.type == MachineNetworkSettings.SOFTWARE_ACCELERATED
    assert (request.resources_spec.cores, request.resources_spec.gpus) == (8, 1)
