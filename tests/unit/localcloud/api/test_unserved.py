"""Fields and values that are not served: a request with one of them is refused, and the documentation names each."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import instance_service_pb2 as instances
from yandex.cloud.compute.v1.instance_pb2 import IPV4, IPV6, PlacementPolicy
from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as balancers
from yandex.cloud.vpc.v1 import address_service_pb2 as addresses
from yandex.cloud.vpc.v1.address_pb2 import AddressRequirements

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.api.unserved import UNSERVED, check_served
from samovar.localcloud.registry import load_services


def _with_nat(nat: instances.OneToOneNatSpec) -> instances.CreateInstanceRequest:
    address = instances.PrimaryAddressSpec(one_to_one_nat_spec=nat)
    nic = instances.NetworkInterfaceSpec(primary_v4_address_spec=address)
    return instances.CreateInstanceRequest(network_interface_specs=[nic], metadata={"a": "b"})


def _with_record() -> addresses.CreateAddressRequest:
    return addresses.CreateAddressRequest(dns_record_specs=[addresses.DnsRecordSpec(fqdn="web.example.com.")])


def _protected() -> addresses.CreateAddressRequest:
    spec = addresses.ExternalIpv4AddressSpec(requirements=AddressRequirements(ddos_protection_provider="qrator"))
    return addresses.CreateAddressRequest(external_ipv4_address_spec=spec)


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (disks.CreateDiskRequest(kms_key_id="abj1"), "CreateDiskRequest.kms_key_id"),
        (disks.CreateDiskRequest(snapshot_schedule_ids=["fc81"]), "CreateDiskRequest.snapshot_schedule_ids"),
        (_with_nat(instances.OneToOneNatSpec(ip_version=IPV6)), "IpVersion.IPV6"),
        (
            _with_nat(instances.OneToOneNatSpec(dns_record_specs=[instances.DnsRecordSpec(fqdn="a.")])),
            "OneToOneNatSpec.dns_record_specs",
        ),
        (
            instances.UpdateInstanceRequest(placement_policy=PlacementPolicy(placement_group_id="fd81")),
            "PlacementPolicy.placement_group_id",
        ),
        (_with_record(), "DnsRecordSpec.fqdn"),
        (_protected(), "AddressRequirements.ddos_protection_provider"),
    ],
)
def test_a_request_with_what_is_not_served_is_refused(request_: Message, name: str) -> None:
    with pytest.raises(Refused, match=f"{name} is not served by the local cloud") as refused:
        check_served(request_)
    assert refused.value.code == Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    "request_",
    [
        _with_nat(instances.OneToOneNatSpec(ip_version=IPV4)),
        instances.UpdateInstanceRequest(placement_policy=PlacementPolicy()),
        balancers.CreateNetworkLoadBalancerRequest(name="web"),
    ],
)
def test_a_request_without_it_is_not(request_: Message) -> None:
    check_served(request_)


def test_each_name_is_that_of_a_field_or_of_a_value() -> None:
    pool = load_services()[0].module.DESCRIPTOR.pool
    for name in UNSERVED:
        owner, _, last = name.rpartition(".")
        if last.isupper():
            assert last in pool.FindEnumTypeByName(owner).values_by_name
        else:
            assert pool.FindFieldByName(name).name == last
