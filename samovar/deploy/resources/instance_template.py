"""Instance templates: the machine that an instance group creates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from yandex.cloud.compute.v1.instancegroup import instance_group_pb2 as api

from samovar.cloud.labels import from_texts, to_texts
from samovar.deploy.resources.address import reserved_address
from samovar.deploy.resources.handler import Context, IdIndex
from samovar.deploy.resources.resource import Kind, Ref, find_placeholders, resolve_placeholders, restore_placeholders
from samovar.project.machine import PLATFORM


@dataclass(frozen=True)
class Template:
    """The machine that a group creates; a change replaces machines. Sizes are in bytes.

    `metadata_refs` are the resources that stand as placeholders in the metadata; `token_forms` are the forms of the
    metadata service (gce, aws) in which a machine gets its account's IAM token, `metadata_forms` those in which it gets
    anything at all. `labels` are texts `key=value`, and `data_disks` texts `NAME=DISK`: a machine finds the disk
    as /dev/disk/by-id/virtio-NAME.
    """

    name: str
    hostname: str
    image: str
    network: str
    subnets: tuple[str, ...]
    cores: int
    core_fraction: int
    memory: int
    disk: int
    metadata: tuple[tuple[str, str], ...]
    metadata_refs: tuple[Ref, ...] = ()
    security_group: str = ""
    service_account: str = ""
    token_forms: tuple[str, ...] = ()
    data_disks: tuple[str, ...] = ()
    public: bool = False
    platform: str = PLATFORM
    disk_type: str = "network-ssd"
    preemptible: bool = False
    labels: tuple[str, ...] = ()
    metadata_forms: tuple[str, ...] = ("gce", "aws")

    def refs(self) -> Iterator[Ref]:
        """Yield the resources of its machines beside network and subnets, and those that their metadata name."""
        named = {Kind.SECURITY_GROUP: self.security_group, Kind.SERVICE_ACCOUNT: self.service_account}
        yield from (Ref(kind, name) for kind, name in named.items() if name)
        yield from (Ref(Kind.DISK, disk) for disk in from_texts(self.data_disks).values())
        yield from self.metadata_refs


def build_template(spec: Template, context: Context) -> api.InstanceTemplate:
    """Return the API's message of a template."""
    disk = api.AttachedDiskSpec.DiskSpec(type_id=spec.disk_type, size=spec.disk, image_id=context.images[spec.image])
    metadata = {
        key: resolve_placeholders(text, lambda ref: _placeholder_value(context, ref)) for key, text in spec.metadata
    }
    return api.InstanceTemplate(
        name=spec.name,
        hostname=spec.hostname,
        labels=from_texts(spec.labels),
        platform_id=spec.platform,
        resources_spec=api.ResourcesSpec(memory=spec.memory, cores=spec.cores, core_fraction=spec.core_fraction),
        boot_disk_spec=api.AttachedDiskSpec(mode=api.AttachedDiskSpec.READ_WRITE, disk_spec=disk),
        secondary_disk_specs=_data_disks(spec, context),
        network_interface_specs=[_network_interface(spec, context)],
        metadata=metadata,
        service_account_id=context.id(Kind.SERVICE_ACCOUNT, spec.service_account) if spec.service_account else "",
        metadata_options=_metadata_options(spec.metadata_forms, spec.token_forms),
        scheduling_policy=api.SchedulingPolicy(preemptible=spec.preemptible),
    )


def read_template(message: api.InstanceTemplate, index: IdIndex) -> Template:
    """Return the spec of the API's message."""
    nic = message.network_interface_specs[0]
    disk = message.boot_disk_spec.disk_spec
    metadata = {key: restore_placeholders(text, index.placeholders) for key, text in message.metadata.items()}
    return Template(
        name=message.name,
        hostname=message.hostname,
        image=index.name_of(disk.image_id),
        network=index.name_of(nic.network_id),
        subnets=tuple(sorted(map(index.name_of, nic.subnet_ids))),
        cores=message.resources_spec.cores,
        core_fraction=message.resources_spec.core_fraction,
        memory=message.resources_spec.memory,
        disk=disk.size,
        metadata=tuple(sorted(metadata.items())),
        metadata_refs=find_placeholders(metadata.values()),
        security_group=", ".join(map(index.name_of, nic.security_group_ids)),
        service_account=index.name_of(message.service_account_id),
        token_forms=_read_token_forms(message.metadata_options),
        data_disks=to_texts({disk.device_name: index.name_of(disk.disk_id) for disk in message.secondary_disk_specs}),
        public=nic.primary_v4_address_spec.HasField("one_to_one_nat_spec"),
        platform=message.platform_id,
        disk_type=disk.type_id,
        preemptible=message.scheduling_policy.preemptible,
        labels=to_texts(message.labels),
        metadata_forms=_read_metadata_forms(message.metadata_options),
    )


def _network_interface(spec: Template, context: Context) -> api.NetworkInterfaceSpec:
    nat = api.OneToOneNatSpec(ip_version=api.IpVersion.IPV4) if spec.public else None
    return api.NetworkInterfaceSpec(
        network_id=context.id(Kind.NETWORK, spec.network),
        subnet_ids=[context.id(Kind.SUBNET, name) for name in spec.subnets],
        primary_v4_address_spec=api.PrimaryAddressSpec(one_to_one_nat_spec=nat),
        security_group_ids=[context.id(Kind.SECURITY_GROUP, spec.security_group)] if spec.security_group else [],
    )


def _data_disks(spec: Template, context: Context) -> list[api.AttachedDiskSpec]:
    """An existing disk goes by its id alone: it and `disk_spec` are alternatives (instance_group.proto)."""
    mode = api.AttachedDiskSpec.READ_WRITE
    return [
        api.AttachedDiskSpec(mode=mode, device_name=name, disk_id=context.id(Kind.DISK, disk))
        for name, disk in from_texts(spec.data_disks).items()
    ]


def _placeholder_value(context: Context, ref: Ref) -> str:
    return reserved_address(context, ref) if ref.kind is Kind.INTERNAL_ADDRESS else context.ids[ref]


def _metadata_options(forms: tuple[str, ...], token_forms: tuple[str, ...]) -> api.MetadataOptions:
    """The agent asks in Google's form, cloud-init in Amazon's first; Amazon's second form is not needed."""
    option = {True: api.MetadataOption.ENABLED, False: api.MetadataOption.DISABLED}
    return api.MetadataOptions(
        gce_http_endpoint=option["gce" in forms],
        aws_v1_http_endpoint=option["aws" in forms],
        gce_http_token=option["gce" in token_forms],
        aws_v1_http_token=option["aws" in token_forms],
    )


def _read_metadata_forms(options: api.MetadataOptions) -> tuple[str, ...]:
    forms = {"gce": options.gce_http_endpoint, "aws": options.aws_v1_http_endpoint}
    return tuple(name for name, option in forms.items() if option != api.MetadataOption.DISABLED)


def _read_token_forms(options: api.MetadataOptions) -> tuple[str, ...]:
    """A form that was not disabled counts as enabled: the API does not say what the default is."""
    forms = {"gce": options.gce_http_token, "aws": options.aws_v1_http_token}
    return tuple(name for name, option in forms.items() if option != api.MetadataOption.DISABLED)
