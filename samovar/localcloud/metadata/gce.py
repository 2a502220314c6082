"""The tree in Google's form. Which keys Yandex serves: its documentation, compute/concepts/metadata/directories."""

from __future__ import annotations

from samovar.localcloud.metadata.machine import Disk, Interface, MachineMetadata
from samovar.localcloud.metadata.tree import Node, OnDemand, UserKeys


def gce_tree(machine: MachineMetadata) -> Node:
    """What lies under /computeMetadata/v1/. `project` stays empty, as it does in Yandex Cloud."""
    return {
        "instance": _instance(machine),
        "project": {},
        "yandex": {"cloud-id": machine.cloud_id, "folder-id": machine.folder_id},
    }


def _instance(machine: MachineMetadata) -> Node:
    return {
        "attributes": UserKeys(machine.attributes),
        "description": machine.description,
        "disks": tuple(_disk(index, disk) for index, disk in enumerate(machine.disks)),
        "hostname": machine.fqdn,
        "id": machine.id,
        "maintenance-event": "NONE",
        "name": machine.name,
        "network-interfaces": tuple(map(_interface, machine.interfaces)),
        "service-accounts": _service_accounts(machine),
        "vendor": _vendor(machine),
        "zone": f"projects/{machine.cloud_id}/zones/{machine.zone}",
    }


def _disk(index: int, disk: Disk) -> Node:
    return {"device-name": disk.device_name, "index": index, "mode": disk.mode, "type": "PERSISTENT"}


def _interface(interface: Interface) -> Node:
    access: tuple[Node, ...] = ()
    if interface.public:
        access = ({"external-ip": interface.public, "type": "ONE_TO_ONE_NAT"},)
    return {
        "access-configs": access,
        "ip": interface.address,
        "mac": interface.mac,
        "network": interface.subnet_id,
    }


def _service_accounts(machine: MachineMetadata) -> Node:
    if not machine.service_account_id:
        return {}
    return {"default": {"aliases": "default", "email": machine.service_account_id, "token": OnDemand.GCE_TOKEN}}


def _vendor(machine: MachineMetadata) -> Node:
    return {
        "cloud-id": machine.cloud_id,
        "environment": machine.zone.rpartition("-")[0],
        "folder-id": machine.folder_id,
        "identity": {"document": machine.identity_document()},
        "labels": UserKeys(machine.labels),
    }
