"""Makes the request for one instance out of a group's template: variables filled in, the zone's subnet chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from yandex.cloud.compute.v1.instance_service_pb2 import (
    AttachedDiskSpec,
    AttachedFilesystemSpec,
    CreateInstanceRequest,
    NetworkInterfaceSpec,
)
from yandex.cloud.compute.v1.instancegroup import instance_group_pb2 as api

from samovar.localcloud.api.errors import not_found

DEFAULT_NAME = "{instance_group.id}-{instance.short_id}"
"""The name of a machine whose template has none, as documented."""


@dataclass(frozen=True)
class MemberPlace:
    """The place of a machine in its group."""

    index: int
    index_in_zone: int
    short_id: str
    zone: str
    tag: str


def create_request(
    group: api.InstanceGroup, place: MemberPlace, subnet_zones: Mapping[str, str]
) -> CreateInstanceRequest:
    """Return the request; `subnet_zones` gives the zone of each subnet that exists, by its id.

    Raises Refused where the template's subnet in the zone was deleted.
    """
    fill = _Filler(group, place)
    template = group.instance_template
    name = template.name or DEFAULT_NAME
    request = CreateInstanceRequest(
        folder_id=group.folder_id,
        zone_id=place.zone,
        platform_id=template.platform_id,
        name=fill(name),
        hostname=fill(template.hostname or name),
        description=fill(template.description),
        labels={key: fill(value) for key, value in template.labels.items()},
        metadata={key: fill(value) for key, value in template.metadata.items()},
        service_account_id=template.service_account_id,
    )
    resources = template.resources_spec
    request.resources_spec.memory, request.resources_spec.cores = resources.memory, resources.cores
    request.resources_spec.core_fraction, request.resources_spec.gpus = resources.core_fraction, resources.gpus
    request.network_settings.ParseFromString(template.network_settings.SerializeToString())
    request.scheduling_policy.preemptible = template.scheduling_policy.preemptible
    if template.HasField("metadata_options"):
        request.metadata_options.ParseFromString(template.metadata_options.SerializeToString())
    request.boot_disk_spec.CopyFrom(_disk(template.boot_disk_spec, fill))
    request.secondary_disk_specs.extend(_disk(spec, fill) for spec in template.secondary_disk_specs)
    request.filesystem_specs.extend(_filesystem(spec, fill) for spec in template.filesystem_specs)
    for spec in template.network_interface_specs:
        request.network_interface_specs.append(_nic(spec, _subnet_in(place.zone, spec, subnet_zones), fill))
    return request


class _Filler:
    """Fills variables in, those of the system first, then the group's own."""

    def __init__(self, group: api.InstanceGroup, place: MemberPlace) -> None:
        self._system = {
            "instance_group.id": group.id,
            "instance.index": str(place.index),
            "instance.index_in_zone": str(place.index_in_zone),
            "instance.short_id": place.short_id,
            "instance.zone_id": place.zone,
            "instance.tag": place.tag,
            **{f"instance_group.labels.{key}": value for key, value in group.labels.items()},
        }
        self._own = {variable.key: variable.value for variable in group.variables}
        labels = {key: self(value) for key, value in group.instance_template.labels.items()}
        self._system |= {f"instance.labels.{key}": value for key, value in labels.items()}

    def __call__(self, text: str) -> str:
        return expand(text, self._system, self._own)


def _disk(spec: api.AttachedDiskSpec, fill: _Filler) -> AttachedDiskSpec:
    """Return the specification of a disk. It is deleted with its machine, unless it is to be preserved."""
    disk = AttachedDiskSpec(
        mode=AttachedDiskSpec.READ_ONLY if spec.mode == spec.READ_ONLY else AttachedDiskSpec.READ_WRITE,
        device_name=fill(spec.device_name),
    )
    if spec.disk_id:
        disk.disk_id = fill(spec.disk_id)
        return disk
    source = spec.disk_spec
    disk.auto_delete = not source.preserve_after_instance_delete
    disk.disk_spec.size, disk.disk_spec.type_id = source.size, fill(source.type_id)
    disk.disk_spec.description = fill(source.description)
    if source.image_id:
        disk.disk_spec.image_id = fill(source.image_id)
    if source.snapshot_id:
        disk.disk_spec.snapshot_id = fill(source.snapshot_id)
    return disk


def _filesystem(spec: api.AttachedFilesystemSpec, fill: _Filler) -> AttachedFilesystemSpec:
    return AttachedFilesystemSpec(
        mode=AttachedFilesystemSpec.READ_ONLY if spec.mode == spec.READ_ONLY else AttachedFilesystemSpec.READ_WRITE,
        device_name=fill(spec.device_name),
        filesystem_id=fill(spec.filesystem_id),
    )


def _subnet_in(zone: str, spec: api.NetworkInterfaceSpec, subnet_zones: Mapping[str, str]) -> str:
    subnet_id = next((each for each in spec.subnet_ids if subnet_zones.get(each) == zone), None)
    if subnet_id is None:
        raise not_found("Subnet", ", ".join(each for each in spec.subnet_ids if each not in subnet_zones))
    return subnet_id


def _nic(spec: api.NetworkInterfaceSpec, subnet_id: str, fill: _Filler) -> NetworkInterfaceSpec:
    nic = NetworkInterfaceSpec(subnet_id=subnet_id, security_group_ids=spec.security_group_ids)
    nic.primary_v4_address_spec.address = fill(spec.primary_v4_address_spec.address)
    if spec.primary_v4_address_spec.HasField("one_to_one_nat_spec"):
        nat = spec.primary_v4_address_spec.one_to_one_nat_spec
        nic.primary_v4_address_spec.one_to_one_nat_spec.address = fill(nat.address)
    for record in spec.primary_v4_address_spec.dns_record_specs:
        added = nic.primary_v4_address_spec.dns_record_specs.add(dns_zone_id=fill(record.dns_zone_id))
        added.fqdn, added.ttl, added.ptr = fill(record.fqdn), record.ttl, record.ptr
    return nic


_VARIABLE = re.compile(r"\{\{([\w.-]+)\}\}|\{([\w.-]+)\}", re.ASCII)


def expand(text: str, context: Mapping[str, str], user_variables: Mapping[str, str]) -> str:
    """Replace variables in two stages: those of `context` ("instance.index"), then those of the group's list.

    What the first stage yields may name a variable of the second: `{short_{instance.zone_id}}`. `{unknown}` stays as
    it is, and `{{known}}` becomes `{known}`.
    """
    return _stage(_stage(text, context), user_variables)


def _stage(text: str, values: Mapping[str, str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        quoted, plain = match.groups()
        if quoted in values:
            return f"{{{quoted}}}"
        return values.get(plain, match[0])

    return _VARIABLE.sub(replacement, text)
