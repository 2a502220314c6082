"""The fields and values of requests that the local cloud does not serve: a request with one of them is refused.

A field that was ignored would look served: the answer lacks it, and a client such as Terraform sets it for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from samovar.localcloud.api.errors import unimplemented

COMPUTE, GROUPS = "yandex.cloud.compute.v1", "yandex.cloud.compute.v1.instancegroup"
UNSERVED = frozenset(
    {
        f"{COMPUTE}.AttachedDiskSpec.DiskSpec.kms_key_id",
        f"{COMPUTE}.CreateDiskRequest.kms_key_id",
        f"{COMPUTE}.CreateDiskRequest.snapshot_schedule_ids",
        f"{COMPUTE}.CreateInstanceRequest.application",
        f"{COMPUTE}.CreateInstanceRequest.local_disk_specs",
        f"{COMPUTE}.CreateInstanceRequest.reserved_instance_pool_id",
        f"{COMPUTE}.DiskPlacementPolicy.placement_group_id",
        f"{COMPUTE}.DiskPlacementPolicy.placement_group_partition",
        f"{COMPUTE}.GpuSettings.gpu_cluster_id",
        f"{COMPUTE}.IpVersion.IPV6",
        f"{COMPUTE}.OneToOneNatSpec.dns_record_specs",
        f"{COMPUTE}.PlacementPolicy.host_affinity_rules",
        f"{COMPUTE}.PlacementPolicy.placement_group_id",
        f"{COMPUTE}.PlacementPolicy.placement_group_partition",
        f"{GROUPS}.CreateInstanceGroupRequest.application_load_balancer_spec",
        f"{GROUPS}.InstanceTemplate.reserved_instance_pool_id",
        f"{GROUPS}.IpVersion.IPV6",
        f"{GROUPS}.NetworkInterfaceSpec.primary_v6_address_spec",
        f"{GROUPS}.OneToOneNatSpec.dns_record_specs",
        f"{GROUPS}.PlacementPolicy.host_affinity_rules",
        f"{GROUPS}.PlacementPolicy.placement_group_id",
        f"{GROUPS}.UpdateInstanceGroupRequest.application_load_balancer_spec",
        "yandex.cloud.loadbalancer.v1.IpVersion.IPV6",
        "yandex.cloud.lockbox.v1.CreateSecretRequest.kms_key_id",
        "yandex.cloud.vpc.v1.AddressRequirements.ddos_protection_provider",
        "yandex.cloud.vpc.v1.AddressRequirements.outgoing_smtp_capability",
        "yandex.cloud.vpc.v1.DnsRecordSpec.fqdn",
    }
)
"""The full names of fields, and of values of enumerations."""


def check_served(request: Message) -> None:
    """Raise UNIMPLEMENTED where a request sets a field, or has a value, that is not served."""
    for name in _set(request):
        if name in UNSERVED:
            raise unimplemented(name)


def _set(message: Message) -> Iterator[str]:
    """Yield the full name of every field that is set, depth first, and of every value of an enumeration."""
    for field, value in message.ListFields():
        yield field.full_name
        for item in _items(field, value):
            if isinstance(item, Message):
                yield from _set(item)
            elif field.enum_type and item in field.enum_type.values_by_number:
                yield f"{field.enum_type.full_name}.{field.enum_type.values_by_number[item].name}"


def _items(field: FieldDescriptor, value: object) -> Iterable[object]:
    """Return the values of a field: of a map none, for its values are no messages of the API."""
    if field.message_type and field.message_type.GetOptions().map_entry:
        return ()
    return value if isinstance(value, Sequence) and field.is_repeated else (value,)
