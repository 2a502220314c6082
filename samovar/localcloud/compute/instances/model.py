"""Instances in the store: their hardware, names, interfaces and disks."""

from __future__ import annotations

from google.rpc.code_pb2 import Code
from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_service_pb2 import CreateDiskRequest
from yandex.cloud.compute.v1.instance_pb2 import (
    AttachedDisk,
    Instance,
    MetadataOption,
    NetworkSettings,
)
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import ResourcesSpec as GroupResourcesSpec

from samovar.core.constants import GIB, REGION
from samovar.core.platforms import size_problem
from samovar.localcloud.api.errors import Refused, invalid, precondition
from samovar.localcloud.compute.disks.model import Disks
from samovar.localcloud.compute.filesystems.model import Filesystems
from samovar.localcloud.compute.instances.hostnames import ID_DOMAIN, check_hostname
from samovar.localcloud.compute.instances.interfaces import Interfaces
from samovar.localcloud.compute.zones.model import check_zone
from samovar.localcloud.load_balancer.target_groups.model import drop_targets, target_of
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository, copy_field, copy_masked, fill, stamp
from samovar.localcloud.store.derived_values import Derived
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.addresses.model import Ipam
from samovar.localcloud.vpc.networks.model import network_of

FQDN = Derived(Instance, lambda instance: instance.fqdn)
FIXED_WHILE_RUNNING = frozenset({"resources_spec", "platform_id", "network_settings", "scheduling_policy"})


class Instances(Repository[Instance]):
    """The one place where instances are made, moved from status to status and deleted."""

    kind, id_prefix = Instance, "fhm"
    count_quota = Quota("compute.instances.count", Instance, 12)
    size_quotas = (
        Quota("compute.instanceCores.count", Instance, 32, lambda instance: instance.resources.cores),
        Quota("compute.instanceMemory.size", Instance, 128 * GIB, lambda instance: instance.resources.memory),
    )

    def __init__(self, store: Store, disks: Disks, ipam: Ipam, *, simulated: bool = False) -> None:
        super().__init__(store)
        self.disks = disks
        self.filesystems = Filesystems(store, simulated=simulated)
        self.interfaces = Interfaces(store, ipam, simulated=simulated)

    def make(self, request: rpc.CreateInstanceRequest) -> Instance:
        """Return a new instance with its disks and addresses, about to be started."""
        self.admit(request.folder_id, request.name)
        check_zone(request.zone_id)
        check_hostname(request.hostname)
        instance = Instance(id=self.new_id(), status=Instance.PROVISIONING)
        fill(instance, request)
        _fill_options(instance)
        _fill_policies(instance)
        _set_resources(instance, request.resources_spec)
        self.check_sizes(instance)
        instance.fqdn = _fqdn(instance.id, request.hostname)
        for spec in request.network_interface_specs:
            self.interfaces.plug(instance, spec)
        self._claim_fqdn(instance)
        instance.boot_disk.CopyFrom(self.attach_disk(instance, request.boot_disk_spec, boot=True))
        for disk in request.secondary_disk_specs:
            instance.secondary_disks.append(self.attach_disk(instance, disk))
        for filesystem in request.filesystem_specs:
            self.filesystems.attach(instance, filesystem)
        stamp(instance)
        self.put(instance)
        return instance

    def _claim_fqdn(self, instance: Instance) -> None:
        """Refuse a full name that another instance of the network has ("unique within the network", its proto says)."""
        network = network_of(self.store, instance)
        named = [each for each, fqdn in FQDN.of(self.store).items() if fqdn == instance.fqdn]
        if any(network_of(self.store, self.store.must(Instance, each)) == network for each in named):
            raise Refused(Code.ALREADY_EXISTS, f"Instance with hostname {instance.fqdn} already exists in the network")

    def move(self, instance_id: str, status: Instance.Status.ValueType) -> None:
        """Set the status that an instance is to reach, or has reached."""
        instance = self.store.must(Instance, instance_id)
        instance.status = status
        if status == Instance.STOPPED:
            self.interfaces.release(instance)
        if status == Instance.STARTING:
            self.interfaces.assign(instance)
        self.put(instance)

    def reshape(self, instance_id: str, request: rpc.CreateInstanceRequest) -> None:
        """Change what can be changed of an instance in place, as if it had been made from `request`."""
        instance = self.store.must(Instance, instance_id)
        for field in ("name", "description", "labels", "metadata", "service_account_id"):
            copy_field(request, instance, field)
        _set_resources(instance, request.resources_spec)
        self.put(instance)

    def delete(self, resource_id: str) -> None:
        """Delete an instance whose machine is removed, with its disks, and take it out of its target group."""
        instance = self.store.must(Instance, resource_id)
        drop_targets(self.store, [target_of(instance)])
        for attached in (instance.boot_disk, *instance.secondary_disks):
            self.disks.detach(attached.disk_id, delete=attached.auto_delete)
        super().delete(resource_id)

    def attach_disk(self, instance: Instance, spec: rpc.AttachedDiskSpec, *, boot: bool = False) -> AttachedDisk:
        if spec.device_name in {each.device_name for each in (instance.boot_disk, *instance.secondary_disks)} - {""}:
            raise invalid(f"Instance {instance.id} has a disk {spec.device_name} already", "device_name")
        disk_id = spec.disk_id
        if spec.WhichOneof("disk") == "disk_spec":
            disk_id = self.disks.make(disk_request(instance.folder_id, instance.zone_id, spec)).id
        disk = self.disks.attach(disk_id, instance.id, boot=boot)
        if disk.zone_id != instance.zone_id:
            raise invalid(f"Disk {disk.id} is in {disk.zone_id}, the instance in {instance.zone_id}", "disk_id")
        return AttachedDisk(
            mode=AttachedDisk.Mode.Value(rpc.AttachedDiskSpec.Mode.Name(spec.mode or rpc.AttachedDiskSpec.READ_WRITE)),
            device_name=spec.device_name or disk.id,
            auto_delete=spec.auto_delete,
            disk_id=disk.id,
        )

    def update(self, instance: Instance, request: rpc.UpdateInstanceRequest, paths: frozenset[str]) -> None:
        """Copy what an update names. What the machine boots with changes only while it is stopped."""
        if (fixed := paths & FIXED_WHILE_RUNNING) and instance.status != Instance.STOPPED:
            raise precondition(f"Instance {instance.id} must be STOPPED to change {', '.join(sorted(fixed))}")
        for path in paths - {"resources_spec"}:
            copy_masked(request, instance, path, request.update_mask)
        if "resources_spec" in paths:
            _set_resources(instance, request.resources_spec)
            self.check_growth(self.by_id(instance.id), instance)
        self.claim_name(instance.folder_id, instance.name, instance.id)
        self.put(instance)


def check_size(platform: str, spec: rpc.ResourcesSpec | GroupResourcesSpec, field: str = "resources_spec") -> None:
    """Refuse a size that no machine of the platform has; `field` is where the request states it."""
    if problem := size_problem(platform, spec.cores, spec.core_fraction or 100, spec.memory):
        raise invalid(problem, field)


def disk_request(folder_id: str, zone_id: str, spec: rpc.AttachedDiskSpec) -> CreateDiskRequest:
    """Return the request for a disk that is specified with its machine."""
    request = CreateDiskRequest(folder_id=folder_id, zone_id=zone_id)
    source = spec.disk_spec.WhichOneof("source")
    for field in ["name", "description", "type_id", "size", "block_size", *([source] if source else [])]:
        copy_field(spec.disk_spec, request, field)
    return request


def _fill_options(instance: Instance) -> None:
    """Set the documented defaults: everything on but the token in the form of AWS."""
    options = instance.metadata_options
    for field in options.DESCRIPTOR.fields:
        if not getattr(options, field.name):
            off = field.name == "aws_v1_http_token"
            setattr(options, field.name, MetadataOption.DISABLED if off else MetadataOption.ENABLED)


def _fill_policies(instance: Instance) -> None:
    """An answer bears the policies also where the request had none: clients read them without asking."""
    for policy in (instance.scheduling_policy, instance.placement_policy):
        policy.SetInParent()
    if not instance.network_settings.type:
        instance.network_settings.type = NetworkSettings.STANDARD


def _fqdn(instance_id: str, hostname: str) -> str:
    """Return the full name, as documented: without a hostname the id in auto.internal; one with a dot is full."""
    if not hostname:
        return f"{instance_id}{ID_DOMAIN}"
    return hostname if "." in hostname else f"{hostname}.{REGION}.internal"


def _set_resources(instance: Instance, spec: rpc.ResourcesSpec) -> None:
    check_size(instance.platform_id, spec)
    instance.resources.memory, instance.resources.cores = spec.memory, spec.cores
    instance.resources.core_fraction = spec.core_fraction or 100
    instance.resources.gpus = spec.gpus
