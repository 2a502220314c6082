"""Instances in the store: their hardware, names, interfaces and disks."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_service_pb2 import CreateDiskRequest
from yandex.cloud.compute.v1.instance_pb2 import (
    AttachedDisk,
    DnsRecord,
    Instance,
    MetadataOption,
    NetworkInterface,
    NetworkSettings,
)
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import ResourcesSpec as GroupResourcesSpec
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.core.platforms import size_problem
from samovar.core.units import GIB
from samovar.localcloud.api.errors import invalid, not_found, precondition, unimplemented
from samovar.localcloud.compute.disks.model import Disks
from samovar.localcloud.load_balancer.target_groups.model import drop_targets, target_of
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository, copy_field, fill, stamp
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.addresses.model import Ipam
from samovar.localcloud.vpc.security_groups.model import check_security_groups

REGION = "ru-central1"
FIXED_WHILE_RUNNING = frozenset({"resources_spec", "platform_id", "network_settings", "scheduling_policy"})
HOSTNAME_LABEL = r"[a-z]([-_a-z0-9]{0,61}[a-z0-9])?"
HOSTNAME = re.compile(rf"{HOSTNAME_LABEL}(\.{HOSTNAME_LABEL})*", re.ASCII)
MAX_HOSTNAME = 253
LOCAL_DOMAINS = (".internal", ".ru-central1.internal")
RESERVED_HOSTNAMES = frozenset({"api", "metadata", "localhost"})
"""Machines look for services of the network under these names, and not for another machine."""
ID_DOMAIN = ".auto.internal"
"""Under this domain each machine is known by its id."""


class Instances(Repository[Instance]):
    """The one place where instances are made, moved from status to status and deleted."""

    kind, id_prefix = Instance, "fhm"
    count_quota = Quota("compute.instances.count", Instance, 12)
    size_quotas = (
        Quota("compute.instanceCores.count", Instance, 32, lambda instance: instance.resources.cores),
        Quota("compute.instanceMemory.size", Instance, 128 * GIB, lambda instance: instance.resources.memory),
    )

    def __init__(self, store: Store, disks: Disks, ipam: Ipam) -> None:
        super().__init__(store)
        self.disks = disks
        self._ipam = ipam

    def make(self, request: rpc.CreateInstanceRequest) -> Instance:
        """Returns a new instance with its disks and addresses, about to be started."""
        self.admit(request.folder_id, request.name)
        check_hostname(request.hostname)
        instance = Instance(id=self.new_id(), status=Instance.PROVISIONING)
        fill(instance, request)
        _fill_options(instance)
        _fill_policies(instance)
        _set_resources(instance, request.resources_spec)
        self.check_sizes(instance)
        instance.fqdn = _fqdn(instance.id, request.hostname)
        for index, nic in enumerate(request.network_interface_specs):
            self._plug(instance, index, nic)
        instance.boot_disk.CopyFrom(self.attach_disk(instance, request.boot_disk_spec, boot=True))
        instance.secondary_disks.extend(self.attach_disk(instance, disk) for disk in request.secondary_disk_specs)
        stamp(instance)
        self.put(instance)
        return instance

    def move(self, instance_id: str, status: Instance.Status.ValueType) -> None:
        """Sets the status that an instance is to reach, or has reached."""
        instance = self.store.must(Instance, instance_id)
        instance.status = status
        self.put(instance)

    def reshape(self, instance_id: str, request: rpc.CreateInstanceRequest) -> None:
        """Changes what can be changed of an instance in place, as if it had been made from `request`."""
        instance = self.store.must(Instance, instance_id)
        for field in ("name", "description", "labels", "metadata", "service_account_id"):
            copy_field(request, instance, field)
        _set_resources(instance, request.resources_spec)
        self.put(instance)

    def delete(self, resource_id: str) -> None:
        """Deletes an instance whose machine is removed, with its disks, and takes it out of its target group."""
        instance = self.store.must(Instance, resource_id)
        drop_targets(self.store, [target_of(instance)])
        for attached in (instance.boot_disk, *instance.secondary_disks):
            self.disks.detach(attached.disk_id, delete=attached.auto_delete)
        super().delete(resource_id)

    def attach_disk(self, instance: Instance, spec: rpc.AttachedDiskSpec, *, boot: bool = False) -> AttachedDisk:
        disk_id = spec.disk_id
        if spec.WhichOneof("disk") == "disk_spec":
            disk_id = self.disks.make(disk_request(instance.folder_id, instance.zone_id, spec)).id
        disk = self.disks.attach(disk_id, instance.id, boot=boot)
        return AttachedDisk(
            mode=AttachedDisk.Mode.Value(rpc.AttachedDiskSpec.Mode.Name(spec.mode or rpc.AttachedDiskSpec.READ_WRITE)),
            device_name=spec.device_name or disk.id,
            auto_delete=spec.auto_delete,
            disk_id=disk.id,
        )

    def update_interface(
        self,
        instance: Instance,
        nic: NetworkInterface,
        request: rpc.UpdateInstanceNetworkInterfaceRequest,
        paths: frozenset[str],
    ) -> None:
        """Gives an interface what the request says of it; the machine must be stopped to get another address."""
        address = request.primary_v4_address_spec.address
        moves = "subnet_id" in paths or address not in {"", nic.primary_v4_address.address}
        if moves and instance.status != Instance.STOPPED:
            raise precondition(f"Instance {instance.id} must be STOPPED to change {', '.join(sorted(paths))}")
        if "primary_v6_address_spec" in paths and request.HasField("primary_v6_address_spec"):
            raise unimplemented("an IPv6 address")
        if "subnet_id" in paths:
            nic.subnet_id = request.subnet_id
        subnet = self._subnet(instance, nic.subnet_id)
        if "security_group_ids" in paths:
            check_security_groups(self.store, subnet.network_id, request.security_group_ids)
            copy_field(request, nic, "security_group_ids")
        if paths & {"subnet_id", "primary_v4_address_spec"}:
            self._set_address(nic, subnet, request.primary_v4_address_spec, keep="subnet_id" not in paths)
        self.put(instance)

    def _plug(self, instance: Instance, index: int, spec: rpc.NetworkInterfaceSpec) -> None:
        subnet = self._subnet(instance, spec.subnet_id)
        if index:
            raise precondition("the local cloud's instances have one network interface")
        if spec.HasField("primary_v6_address_spec"):
            raise unimplemented("an IPv6 address")
        check_security_groups(self.store, subnet.network_id, spec.security_group_ids)
        nic = NetworkInterface(index=str(index), subnet_id=subnet.id, security_group_ids=spec.security_group_ids)
        self._set_address(nic, subnet, spec.primary_v4_address_spec)
        instance.network_interfaces.append(nic)

    def _subnet(self, instance: Instance, subnet_id: str) -> Subnet:
        """Returns the subnet, which must be in the zone of the instance."""
        subnet = self.store.get(Subnet, subnet_id)
        if subnet is None:
            raise not_found("Subnet", subnet_id)
        if subnet.zone_id != instance.zone_id:
            raise invalid(f"Subnet {subnet.id} is in {subnet.zone_id}, the instance in {instance.zone_id}", "subnet_id")
        return subnet

    def _set_address(
        self, nic: NetworkInterface, subnet: Subnet, spec: rpc.PrimaryAddressSpec, *, keep: bool = False
    ) -> None:
        """Gives an interface the requested addresses, or free ones, and the DNS records that lead to it.

        With `keep` it keeps the address that it has, unless another one is requested.
        """
        current = nic.primary_v4_address.address
        if not (keep and spec.address in {"", current}):
            address = self._ipam.internal(subnet, spec.address, reserved=bool(spec.address))
            nic.mac_address, nic.primary_v4_address.address = _mac(address), str(address)
        if spec.HasField("one_to_one_nat_spec"):
            public = spec.one_to_one_nat_spec.address
            nic.primary_v4_address.one_to_one_nat.address = str(self._ipam.public(public, reserved=bool(public)))
        del nic.primary_v4_address.dns_records[:]
        nic.primary_v4_address.dns_records.extend(map(_dns_record, spec.dns_record_specs))

    def update(self, instance: Instance, request: rpc.UpdateInstanceRequest, paths: frozenset[str]) -> None:
        """Copies what an update names. What the machine boots with changes only while it is stopped."""
        if (fixed := paths & FIXED_WHILE_RUNNING) and instance.status != Instance.STOPPED:
            raise precondition(f"Instance {instance.id} must be STOPPED to change {', '.join(sorted(fixed))}")
        for path in paths - {"resources_spec"}:
            copy_field(request, instance, path)
        if "resources_spec" in paths:
            _set_resources(instance, request.resources_spec)
            self.check_sizes(instance)
        self.claim_name(instance.folder_id, instance.name, instance.id)
        self.put(instance)


def check_size(platform: str, spec: rpc.ResourcesSpec | GroupResourcesSpec, field: str = "resources_spec") -> None:
    """Refuses a size that no machine of the platform has; `field` is where the request states it."""
    if problem := size_problem(platform, spec.cores, spec.core_fraction or 100, spec.memory):
        raise invalid(problem, field)


def check_hostname(hostname: str) -> None:
    """Refuses what is no DNS name, and a name that the network's name server answers for itself; empty is none."""
    if not hostname:
        return
    if len(hostname) > MAX_HOSTNAME or not HOSTNAME.fullmatch(hostname):
        raise invalid(f"{hostname!r} is not a DNS name", "hostname")
    short = next(
        (hostname.removesuffix(domain) for domain in LOCAL_DOMAINS[::-1] if hostname.endswith(domain)), hostname
    )
    if short in RESERVED_HOSTNAMES or hostname.endswith(ID_DOMAIN):
        raise invalid(f"the name {hostname} is reserved", "hostname")


def disk_request(folder_id: str, zone_id: str, spec: rpc.AttachedDiskSpec) -> CreateDiskRequest:
    """Returns the request for a disk that is specified with its machine."""
    request = CreateDiskRequest(folder_id=folder_id, zone_id=zone_id)
    source = spec.disk_spec.WhichOneof("source")
    for field in ["name", "description", "type_id", "size", "block_size", *([source] if source else [])]:
        copy_field(spec.disk_spec, request, field)
    return request


def _fill_options(instance: Instance) -> None:
    """Sets the documented defaults: everything on but the token in the form of AWS."""
    options = instance.metadata_options
    for field in options.DESCRIPTOR.fields:
        if not getattr(options, field.name):
            off = field.name == "aws_v1_http_token"
            setattr(options, field.name, MetadataOption.DISABLED if off else MetadataOption.ENABLED)


def _dns_record(spec: rpc.DnsRecordSpec) -> DnsRecord:
    record = DnsRecord()
    fill(record, spec)
    return record


def _fill_policies(instance: Instance) -> None:
    """An answer bears the policies also where the request had none: clients read them without asking."""
    for policy in (instance.scheduling_policy, instance.placement_policy):
        policy.SetInParent()
    if not instance.network_settings.type:
        instance.network_settings.type = NetworkSettings.STANDARD


def _fqdn(instance_id: str, hostname: str) -> str:
    """Returns the full name, as documented: without a hostname the id in auto.internal; one with a dot is full."""
    if not hostname:
        return f"{instance_id}.auto.internal"
    return hostname if "." in hostname else f"{hostname}.{REGION}.internal"


def _mac(address: IPv4Address) -> str:
    return "0e:00:" + ":".join(f"{octet:02x}" for octet in address.packed)


def _set_resources(instance: Instance, spec: rpc.ResourcesSpec) -> None:
    check_size(instance.platform_id, spec)
    instance.resources.memory, instance.resources.cores = spec.memory, spec.cores
    instance.resources.core_fraction = spec.core_fraction or 100
    instance.resources.gpus = spec.gpus
