"""yandex.cloud.compute: instances. A call records what an instance is to become; the controller brings it there."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_service_pb2 import CreateDiskRequest
from yandex.cloud.compute.v1.instance_pb2 import AttachedDisk, Instance, MetadataOption, NetworkInterface
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import invalid, not_found, precondition, unimplemented
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.disks.rpc import DiskService
from samovar.localcloud.compute.instances.hostnames import check_hostname
from samovar.localcloud.iam.model import check_use
from samovar.localcloud.load_balancer.target_groups.rpc import drop_targets, target_of
from samovar.localcloud.operations.model import Goal, Operations
from samovar.localcloud.quota_manager.model import check_sizes
from samovar.localcloud.resources.model import copy_field, fill, masked_paths, page, stamp
from samovar.localcloud.resources.rpc import BoundService
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.addresses.model import Addressing
from samovar.localcloud.vpc.security_groups.rpc import check_security_groups

REGION = "ru-central1"
UPDATABLE = frozenset({"name", "description", "labels", "service_account_id", "metadata", "metadata_options"})


class InstanceService(BoundService[Instance]):
    """Everything here returns at once; operations wait for the machine."""

    kind, noun, id_field = Instance, "Instance", "instance_id"

    def __init__(
        self,
        store: Store,
        operations: Operations,
        disks: DiskService,
        addressing: Addressing,
        console: Callable[[str], bytes],
    ) -> None:
        super().__init__(store, operations)
        self._disks = disks
        self._addressing = addressing
        self._console = console

    def Get(self, request: rpc.GetInstanceRequest, _: Caller) -> Instance:
        return _viewed(self.find(request), request.view)

    def List(self, request: rpc.ListInstancesRequest, _: Caller) -> rpc.ListInstancesResponse:
        found = [_viewed(instance, rpc.BASIC) for instance in self.store.all(Instance, scope=request.folder_id)]
        return page(request, rpc.ListInstancesResponse(), "instances", found)

    def Create(self, request: rpc.CreateInstanceRequest, caller: Caller) -> Operation:
        check_use(self.store, caller, [request.service_account_id])
        instance = self.make(request)
        metadata = rpc.CreateInstanceMetadata(instance_id=instance.id)
        return self.operations.waiting(caller, "Create instance", metadata, instance, Goal.RUNNING)

    def make(self, request: rpc.CreateInstanceRequest) -> Instance:
        """A new instance with its disks and addresses, about to be started."""
        self.admit(request.folder_id, request.name)
        check_hostname(request.hostname)
        instance = Instance(id=new_id("instance"), status=Instance.PROVISIONING)
        fill(instance, request)
        _fill_options(instance)
        spec = request.resources_spec
        instance.resources.memory, instance.resources.cores = spec.memory, spec.cores
        instance.resources.core_fraction = spec.core_fraction or 100
        check_sizes(self.store, instance)
        instance.fqdn = _fqdn(instance.id, request.hostname)
        for index, nic in enumerate(request.network_interface_specs):
            self._plug(instance, index, nic)
        instance.boot_disk.CopyFrom(self._attach(instance, request.boot_disk_spec, boot=True))
        instance.secondary_disks.extend(self._attach(instance, disk) for disk in request.secondary_disk_specs)
        stamp(instance)
        self.store.put(instance)
        return instance

    def Update(self, request: rpc.UpdateInstanceRequest, caller: Caller) -> Operation:
        instance = self.find(request)
        paths = masked_paths(request, request.update_mask, self.id_field)
        if request.update_mask.paths and paths - UPDATABLE:
            raise invalid(f"cannot be updated here: {', '.join(sorted(paths - UPDATABLE))}", "update_mask")
        if "service_account_id" in paths:
            check_use(self.store, caller, [request.service_account_id])
        for path in paths & UPDATABLE:
            copy_field(request, instance, path)
        self.claim_name(instance.folder_id, instance.name, instance.id)
        self.store.put(instance)
        metadata = rpc.UpdateInstanceMetadata(instance_id=instance.id)
        return self.operations.done(caller, "Update instance", metadata, instance)

    def UpdateMetadata(self, request: rpc.UpdateInstanceMetadataRequest, caller: Caller) -> Operation:
        instance = self.find(request)
        for key in request.delete:
            instance.metadata.pop(key, None)
        instance.metadata.update(request.upsert)
        self.store.put(instance)
        metadata = rpc.UpdateInstanceMetadataMetadata(instance_id=instance.id)
        return self.operations.done(caller, "Update instance metadata", metadata, instance)

    def Delete(self, request: rpc.DeleteInstanceRequest, caller: Caller) -> Operation:
        instance = self.find(request)
        self.move(instance.id, Instance.DELETING)
        metadata = rpc.DeleteInstanceMetadata(instance_id=instance.id)
        return self.operations.waiting(caller, "Delete instance", metadata, instance, Goal.GONE)

    def Stop(self, request: rpc.StopInstanceRequest, caller: Caller) -> Operation:
        instance = self._expect(request, Instance.RUNNING)
        self.move(instance.id, Instance.STOPPING)
        metadata = rpc.StopInstanceMetadata(instance_id=instance.id)
        return self.operations.waiting(caller, "Stop instance", metadata, instance, Goal.STOPPED)

    def Start(self, request: rpc.StartInstanceRequest, caller: Caller) -> Operation:
        instance = self._expect(request, Instance.STOPPED, Instance.CRASHED, Instance.ERROR)
        self.move(instance.id, Instance.STARTING)
        metadata = rpc.StartInstanceMetadata(instance_id=instance.id)
        return self.operations.waiting(caller, "Start instance", metadata, instance, Goal.RUNNING)

    def Restart(self, request: rpc.RestartInstanceRequest, caller: Caller) -> Operation:
        instance = self._expect(request, Instance.RUNNING)
        self.move(instance.id, Instance.RESTARTING)
        metadata = rpc.RestartInstanceMetadata(instance_id=instance.id)
        return self.operations.waiting(caller, "Restart instance", metadata, instance, Goal.RESTARTED)

    def AddOneToOneNat(self, request: rpc.AddInstanceOneToOneNatRequest, caller: Caller) -> Operation:
        instance = self.find(request)
        primary = _interface(instance, request).primary_v4_address
        if primary.one_to_one_nat.address:
            raise precondition(f"Instance {instance.id} has the address {primary.one_to_one_nat.address} already")
        wanted = request.one_to_one_nat_spec.address
        primary.one_to_one_nat.address = str(self._addressing.public(wanted, reserved=bool(wanted)))
        self.store.put(instance)
        metadata = rpc.AddInstanceOneToOneNatMetadata(instance_id=instance.id)
        return self.operations.done(caller, "Add one-to-one NAT", metadata, instance)

    def RemoveOneToOneNat(self, request: rpc.RemoveInstanceOneToOneNatRequest, caller: Caller) -> Operation:
        instance = self.find(request)
        primary = _interface(instance, request).primary_v4_address
        if not primary.one_to_one_nat.address:
            raise precondition(f"Instance {instance.id} has no public address")
        primary.ClearField("one_to_one_nat")
        self.store.put(instance)
        metadata = rpc.RemoveInstanceOneToOneNatMetadata(instance_id=instance.id)
        return self.operations.done(caller, "Remove one-to-one NAT", metadata, instance)

    def UpdateNetworkInterface(self, request: rpc.UpdateInstanceNetworkInterfaceRequest, caller: Caller) -> Operation:
        """The security groups alone: all else of an interface is fixed when the machine is made."""
        instance = self.find(request)
        nic = _interface(instance, request)
        if masked_paths(request, request.update_mask, self.id_field) != {"security_group_ids"}:
            raise unimplemented("a change of an interface beyond its security_group_ids")
        network_id = self.store.must(Subnet, nic.subnet_id).network_id
        check_security_groups(self.store, network_id, request.security_group_ids)
        copy_field(request, nic, "security_group_ids")
        self.store.put(instance)
        metadata = rpc.UpdateInstanceNetworkInterfaceMetadata(
            instance_id=instance.id, network_interface_index=nic.index
        )
        return self.operations.done(caller, "Update network interface", metadata, instance)

    def AttachDisk(self, request: rpc.AttachInstanceDiskRequest, caller: Caller) -> Operation:
        instance = self._stopped(request)
        wanted = request.attached_disk_spec.device_name
        if wanted in {disk.device_name for disk in (instance.boot_disk, *instance.secondary_disks)}:
            raise invalid(f"Instance {instance.id} has a disk {wanted} already", "device_name")
        attached = self._attach(instance, request.attached_disk_spec)
        instance.secondary_disks.append(attached)
        self.store.put(instance)
        metadata = rpc.AttachInstanceDiskMetadata(instance_id=instance.id, disk_id=attached.disk_id)
        return self.operations.done(caller, "Attach disk", metadata, instance)

    def DetachDisk(self, request: rpc.DetachInstanceDiskRequest, caller: Caller) -> Operation:
        instance = self._stopped(request)
        named = {"disk_id": request.disk_id, "device_name": request.device_name}[
            request.WhichOneof("disk") or "disk_id"
        ]
        found = [disk for disk in instance.secondary_disks if named in (disk.disk_id, disk.device_name)]
        if not found:
            raise not_found("AttachedDisk", named)
        instance.secondary_disks.remove(found[0])
        self._disks.detach(found[0].disk_id, delete=False)
        self.store.put(instance)
        metadata = rpc.DetachInstanceDiskMetadata(instance_id=instance.id, disk_id=found[0].disk_id)
        return self.operations.done(caller, "Detach disk", metadata, instance)

    def GetSerialPortOutput(
        self, request: rpc.GetInstanceSerialPortOutputRequest, _: Caller
    ) -> rpc.GetInstanceSerialPortOutputResponse:
        instance = self.find(request)
        contents = self._console(instance.id).decode(errors="replace") if request.port in {0, 1} else ""
        return rpc.GetInstanceSerialPortOutputResponse(contents=contents)

    def ListOperations(
        self, request: rpc.ListInstanceOperationsRequest, _: Caller
    ) -> rpc.ListInstanceOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, rpc.ListInstanceOperationsResponse(), "operations", found)

    def move(self, instance_id: str, status: Instance.Status.ValueType) -> None:
        """Records what an instance is to become, or has become."""
        instance = self.store.must(Instance, instance_id)
        instance.status = status
        self.store.put(instance)

    def reshape(self, instance_id: str, request: rpc.CreateInstanceRequest) -> None:
        """Gives an instance what can be changed of it in place, as if it had been made from `request`."""
        instance = self.store.must(Instance, instance_id)
        for field in ("name", "description", "labels", "metadata", "service_account_id"):
            copy_field(request, instance, field)
        spec = request.resources_spec
        instance.resources.memory, instance.resources.cores = spec.memory, spec.cores
        instance.resources.core_fraction = spec.core_fraction or 100
        self.store.put(instance)

    def forget(self, instance_id: str) -> None:
        """The last step of a deletion: the machine is gone, its disks go with it, and nobody sends to it any more."""
        instance = self.store.must(Instance, instance_id)
        drop_targets(self.store, [target_of(instance)])
        for attached in (instance.boot_disk, *instance.secondary_disks):
            self._disks.detach(attached.disk_id, delete=attached.auto_delete)
        self.store.delete(Instance, instance_id)

    def _expect(self, request: object, *statuses: Instance.Status.ValueType) -> Instance:
        instance = self.find(request)
        if instance.status not in statuses:
            raise precondition(f"Instance {instance.id} is {Instance.Status.Name(instance.status)}")
        return instance

    def _stopped(self, request: object) -> Instance:
        """A machine gets its disks when it starts."""
        instance = self.find(request)
        if instance.status != Instance.STOPPED:
            raise unimplemented("a change of the disks of an instance that is not STOPPED")
        return instance

    def _plug(self, instance: Instance, index: int, spec: rpc.NetworkInterfaceSpec) -> None:
        subnet = self.store.get(Subnet, spec.subnet_id)
        if subnet is None:
            raise not_found("Subnet", spec.subnet_id)
        if subnet.zone_id != instance.zone_id:
            raise invalid(f"Subnet {subnet.id} is in {subnet.zone_id}, the instance in {instance.zone_id}", "subnet_id")
        if index:
            raise precondition("the local cloud's instances have one network interface")
        if spec.HasField("primary_v6_address_spec"):
            raise unimplemented("an IPv6 address")
        check_security_groups(self.store, subnet.network_id, spec.security_group_ids)
        wanted = spec.primary_v4_address_spec.address
        address = self._addressing.internal(subnet, wanted, reserved=bool(wanted))
        nic = NetworkInterface(index=str(index), mac_address=_mac(address), subnet_id=subnet.id)
        nic.primary_v4_address.address = str(address)
        if spec.primary_v4_address_spec.HasField("one_to_one_nat_spec"):
            public = spec.primary_v4_address_spec.one_to_one_nat_spec.address
            nic.primary_v4_address.one_to_one_nat.address = str(self._addressing.public(public, reserved=bool(public)))
        nic.security_group_ids.extend(spec.security_group_ids)
        instance.network_interfaces.append(nic)

    def _attach(self, instance: Instance, spec: rpc.AttachedDiskSpec, *, boot: bool = False) -> AttachedDisk:
        disk_id = spec.disk_id
        if spec.WhichOneof("disk") == "disk_spec":
            disk_id = self._disks.make(disk_request(instance.folder_id, instance.zone_id, spec)).id
        disk = self._disks.attach(disk_id, instance.id, boot=boot)
        return AttachedDisk(
            mode=AttachedDisk.Mode.Value(rpc.AttachedDiskSpec.Mode.Name(spec.mode or rpc.AttachedDiskSpec.READ_WRITE)),
            device_name=spec.device_name or disk.id,
            auto_delete=spec.auto_delete,
            disk_id=disk.id,
        )


def disk_request(folder_id: str, zone_id: str, spec: rpc.AttachedDiskSpec) -> CreateDiskRequest:
    """The request for a disk that is specified with its machine."""
    request = CreateDiskRequest(folder_id=folder_id, zone_id=zone_id)
    source = spec.disk_spec.WhichOneof("source")
    for field in ["name", "description", "type_id", "size", "block_size", *([source] if source else [])]:
        copy_field(spec.disk_spec, request, field)
    return request


def _viewed(instance: Instance, view: rpc.InstanceView.ValueType) -> Instance:
    if view != rpc.FULL:
        instance.ClearField("metadata")
    return instance


def _interface(
    instance: Instance,
    request: rpc.AddInstanceOneToOneNatRequest
    | rpc.RemoveInstanceOneToOneNatRequest
    | rpc.UpdateInstanceNetworkInterfaceRequest,
) -> NetworkInterface:
    """The interface that is meant: by its number, by its address, or the only one."""
    for nic in instance.network_interfaces:
        number = request.network_interface_index in {"", nic.index}
        if number and getattr(request, "internal_address", "") in {"", nic.primary_v4_address.address}:
            return nic
    raise not_found("NetworkInterface", request.network_interface_index)


def _fill_options(instance: Instance) -> None:
    """The documented defaults: everything on but the token in the form of AWS."""
    options = instance.metadata_options
    for field in options.DESCRIPTOR.fields:
        if not getattr(options, field.name):
            off = field.name == "aws_v1_http_token"
            setattr(options, field.name, MetadataOption.DISABLED if off else MetadataOption.ENABLED)


def _fqdn(instance_id: str, hostname: str) -> str:
    """As documented: none is the id in auto.internal, one with a dot is taken as it is."""
    if not hostname:
        return f"{instance_id}.auto.internal"
    return hostname if "." in hostname else f"{hostname}.{REGION}.internal"


def _mac(address: IPv4Address) -> str:
    return "0e:00:" + ":".join(f"{octet:02x}" for octet in address.packed)
