"""The RPCs of yandex.cloud.compute for instances."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import Message
from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.instance_pb2 import Instance, NetworkInterface
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import invalid, not_found, precondition, unimplemented
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.disks.model import Disks
from samovar.localcloud.compute.filesystems.model import attached_to
from samovar.localcloud.compute.instances.model import FIXED_WHILE_RUNNING, Instances
from samovar.localcloud.iam.model import check_use
from samovar.localcloud.operations.model import Goal, Operations
from samovar.localcloud.registry import Context, Service
from samovar.localcloud.resources.model import masked_paths
from samovar.localcloud.resources.rpc import WithAccessBindings, WithOperations, page
from samovar.localcloud.vpc.addresses.model import Ipam

ALWAYS_UPDATABLE = frozenset(
    {
        "name",
        "description",
        "labels",
        "service_account_id",
        "metadata",
        "metadata_options",
        "maintenance_policy",
        "maintenance_grace_period",
        "serial_port_settings",
    }
)
UPDATABLE = ALWAYS_UPDATABLE | FIXED_WHILE_RUNNING | {"placement_policy"}


class InstanceService(WithOperations[Instance], WithAccessBindings[Instance]):
    """Each call returns at once; operations wait for the machine, which the controller starts and stops."""

    def __init__(
        self,
        instances: Instances,
        operations: Operations,
        read_console: Callable[[str], bytes],
        *,
        simulated: bool,
    ) -> None:
        super().__init__(instances, operations)
        self._instances = instances
        self._read_console = read_console
        self._simulated = simulated

    def Get(self, request: rpc.GetInstanceRequest, _: Caller) -> Instance:
        return _viewed(self.find(request), request.view)

    def List(self, request: rpc.ListInstancesRequest, _: Caller) -> Message:
        return page(request, [_viewed(each, rpc.BASIC) for each in self.resources.in_folder(request.folder_id)])

    def Create(self, request: rpc.CreateInstanceRequest, caller: Caller) -> Operation:
        check_use(self.store, caller, [request.service_account_id])
        instance = self._instances.make(request)
        metadata = rpc.CreateInstanceMetadata(instance_id=instance.id)
        return self.operations.waiting(caller, "Create instance", metadata, instance, Goal.RUNNING)

    def Update(self, request: rpc.UpdateInstanceRequest, caller: Caller) -> Operation:
        instance = self.find(request)
        paths = masked_paths(request, request.update_mask, self.id_field)
        if request.update_mask.paths and paths - UPDATABLE:
            raise invalid(f"cannot be updated here: {', '.join(sorted(paths - UPDATABLE))}", "update_mask")
        if "service_account_id" in paths:
            check_use(self.store, caller, [request.service_account_id])
        self._instances.update(
            instance, request, paths & (UPDATABLE if request.update_mask.paths else ALWAYS_UPDATABLE)
        )
        metadata = rpc.UpdateInstanceMetadata(instance_id=instance.id)
        return self.operations.done(caller, "Update instance", metadata, instance)

    def UpdateMetadata(self, request: rpc.UpdateInstanceMetadataRequest, caller: Caller) -> Operation:
        instance = self.find(request)
        for key in request.delete:
            instance.metadata.pop(key, None)
        instance.metadata.update(request.upsert)
        metadata = rpc.UpdateInstanceMetadataMetadata(instance_id=instance.id)
        return self.stored(caller, "Update instance metadata", metadata, instance)

    def Delete(self, request: rpc.DeleteInstanceRequest, caller: Caller) -> Operation:
        instance = self.find(request)
        self._instances.move(instance.id, Instance.DELETING)
        metadata = rpc.DeleteInstanceMetadata(instance_id=instance.id)
        return self.operations.waiting(caller, "Delete instance", metadata, instance, Goal.DELETED)

    def Stop(self, request: rpc.StopInstanceRequest, caller: Caller) -> Operation:
        """Stop a machine, also one in an error state: that is the remedy (documentation, vm-statuses)."""
        instance = self.find_with_status(request, Instance.RUNNING, Instance.CRASHED, Instance.ERROR)
        self._instances.move(instance.id, Instance.STOPPING)
        metadata = rpc.StopInstanceMetadata(instance_id=instance.id)
        return self.operations.waiting(caller, "Stop instance", metadata, instance, Goal.STOPPED)

    def Start(self, request: rpc.StartInstanceRequest, caller: Caller) -> Operation:
        instance = self.find_with_status(request, Instance.STOPPED, Instance.CRASHED, Instance.ERROR)
        self._instances.move(instance.id, Instance.STARTING)
        metadata = rpc.StartInstanceMetadata(instance_id=instance.id)
        return self.operations.waiting(caller, "Start instance", metadata, instance, Goal.RUNNING)

    def Restart(self, request: rpc.RestartInstanceRequest, caller: Caller) -> Operation:
        instance = self.find_with_status(request, Instance.RUNNING)
        self._instances.move(instance.id, Instance.RESTARTING)
        metadata = rpc.RestartInstanceMetadata(instance_id=instance.id)
        return self.operations.waiting(caller, "Restart instance", metadata, instance, Goal.RESTARTED)

    def AddOneToOneNat(self, request: rpc.AddInstanceOneToOneNatRequest, caller: Caller) -> Operation:
        instance = self.find(request)
        nic = _interface(instance, request)
        if nic.primary_v4_address.HasField("one_to_one_nat"):
            raise precondition(f"Instance {instance.id} has a public address already")
        self._instances.interfaces.set_public(instance, nic, request.one_to_one_nat_spec.address)
        metadata = rpc.AddInstanceOneToOneNatMetadata(instance_id=instance.id)
        return self.stored(caller, "Add one-to-one NAT", metadata, instance)

    def RemoveOneToOneNat(self, request: rpc.RemoveInstanceOneToOneNatRequest, caller: Caller) -> Operation:
        instance = self.find(request)
        primary = _interface(instance, request).primary_v4_address
        if not primary.HasField("one_to_one_nat"):
            raise precondition(f"Instance {instance.id} has no public address")
        primary.ClearField("one_to_one_nat")
        metadata = rpc.RemoveInstanceOneToOneNatMetadata(instance_id=instance.id)
        return self.stored(caller, "Remove one-to-one NAT", metadata, instance)

    def UpdateNetworkInterface(self, request: rpc.UpdateInstanceNetworkInterfaceRequest, caller: Caller) -> Operation:
        instance = self.find(request)
        nic = _interface(instance, request)
        paths = masked_paths(request, request.update_mask, self.id_field) - {"network_interface_index"}
        self._instances.interfaces.update(instance, nic, request, paths)
        metadata = rpc.UpdateInstanceNetworkInterfaceMetadata(
            instance_id=instance.id, network_interface_index=nic.index
        )
        return self.stored(caller, "Update network interface", metadata, instance)

    def AttachNetworkInterface(self, request: rpc.AttachInstanceNetworkInterfaceRequest, caller: Caller) -> Operation:
        instance = self.find_with_status(request, Instance.STOPPED)
        nic = self._instances.interfaces.plug(instance, request)
        metadata = rpc.AttachInstanceNetworkInterfaceMetadata(
            instance_id=instance.id, network_interface_index=nic.index
        )
        return self.stored(caller, "Attach network interface", metadata, instance)

    def DetachNetworkInterface(self, request: rpc.DetachInstanceNetworkInterfaceRequest, caller: Caller) -> Operation:
        instance = self.find_with_status(request, Instance.STOPPED)
        self._instances.interfaces.unplug(instance, _interface(instance, request))
        metadata = rpc.DetachInstanceNetworkInterfaceMetadata(
            instance_id=instance.id, network_interface_index=request.network_interface_index
        )
        return self.stored(caller, "Detach network interface", metadata, instance)

    def AttachFilesystem(self, request: rpc.AttachInstanceFilesystemRequest, caller: Caller) -> Operation:
        """Attach a file system to a stopped machine (documentation, compute/operations/filesystem/attach-to-vm)."""
        instance = self.find_with_status(request, Instance.STOPPED)
        attached = self._instances.filesystems.attach(instance, request.attached_filesystem_spec)
        metadata = rpc.AttachInstanceFilesystemMetadata(instance_id=instance.id, filesystem_id=attached.filesystem_id)
        return self.stored(caller, "Attach filesystem", metadata, instance)

    def DetachFilesystem(self, request: rpc.DetachInstanceFilesystemRequest, caller: Caller) -> Operation:
        instance = self.find_with_status(request, Instance.STOPPED)
        attached = attached_to(instance, request.filesystem_id or request.device_name)
        metadata = rpc.DetachInstanceFilesystemMetadata(instance_id=instance.id, filesystem_id=attached.filesystem_id)
        instance.filesystems.remove(attached)
        return self.stored(caller, "Detach filesystem", metadata, instance)

    def AttachDisk(self, request: rpc.AttachInstanceDiskRequest, caller: Caller) -> Operation:
        instance = self._changeable(request)
        attached = self._instances.attach_disk(instance, request.attached_disk_spec)
        instance.secondary_disks.append(attached)
        metadata = rpc.AttachInstanceDiskMetadata(instance_id=instance.id, disk_id=attached.disk_id)
        return self.stored(caller, "Attach disk", metadata, instance)

    def DetachDisk(self, request: rpc.DetachInstanceDiskRequest, caller: Caller) -> Operation:
        instance = self._changeable(request)
        named = {"disk_id": request.disk_id, "device_name": request.device_name}[
            request.WhichOneof("disk") or "disk_id"
        ]
        attached = [disk for disk in instance.secondary_disks if named in (disk.disk_id, disk.device_name)]
        if not attached:
            raise not_found("AttachedDisk", named)
        instance.secondary_disks.remove(attached[0])
        self._instances.disks.detach(attached[0].disk_id, delete=False)
        metadata = rpc.DetachInstanceDiskMetadata(instance_id=instance.id, disk_id=attached[0].disk_id)
        return self.stored(caller, "Detach disk", metadata, instance)

    def GetSerialPortOutput(
        self, request: rpc.GetInstanceSerialPortOutputRequest, _: Caller
    ) -> rpc.GetInstanceSerialPortOutputResponse:
        instance = self.find(request)
        contents = self._read_console(instance.id).decode(errors="replace") if request.port in {0, 1} else ""
        return rpc.GetInstanceSerialPortOutputResponse(contents=contents)

    def _changeable(self, request: object) -> Instance:
        """Return an instance that can be given a disk: a machine of this host gets its disks at its start."""
        instance = self.find_with_status(request, Instance.STOPPED, Instance.RUNNING)
        if instance.status != Instance.STOPPED and not self._simulated:
            raise unimplemented("a change of the disks of a machine of this host that is not STOPPED")
        return instance


def _viewed(instance: Instance, view: rpc.InstanceView.ValueType) -> Instance:
    if view != rpc.FULL:
        instance.ClearField("metadata")
    return instance


def _interface(
    instance: Instance,
    request: rpc.AddInstanceOneToOneNatRequest
    | rpc.RemoveInstanceOneToOneNatRequest
    | rpc.UpdateInstanceNetworkInterfaceRequest
    | rpc.DetachInstanceNetworkInterfaceRequest,
) -> NetworkInterface:
    """Return the interface that is named by its number or by its address, or the only one."""
    for nic in instance.network_interfaces:
        number = request.network_interface_index in {"", nic.index}
        if number and getattr(request, "internal_address", "") in {"", nic.primary_v4_address.address}:
            return nic
    raise not_found("NetworkInterface", request.network_interface_index)


def _make(context: Context) -> InstanceService:
    ipam = Ipam(context.store, context.number)
    instances = Instances(context.store, Disks(context.store, context.home), ipam, simulated=context.simulated)
    return InstanceService(instances, context.operations, context.read_console, simulated=context.simulated)


SERVICES = (Service(rpc, "compute", _make, Instances),)
