"""A machine's metadata is a tree of folders and leaves, in Google's form and in Amazon's.

The keys that Yandex Cloud serves: its documentation, compute/concepts/metadata/directories and vm-info/get-info.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import TypeAlias

from samovar.localcloud.metadata.model import Disk, Interface, MachineMetadata

Json: TypeAlias = "str | int | list[Json] | dict[str, Json]"


class OnDemand(Enum):
    """Leaves that are made when they are asked for; no recursive answer holds them."""

    GCE_TOKEN = auto()
    AWS_TOKEN = auto()


Node: TypeAlias = "str | int | OnDemand | Mapping[str, Node] | tuple[Node, ...]"


class UserKeys(dict[str, Node]):
    """A folder whose keys the operator chose: they are shown as they are in every form."""


class PublicKeys(dict[str, Node]):
    """Amazon's folder of public keys: alone among the folders it is listed as `0=name`, without a slash."""


def gce_tree(machine: MachineMetadata) -> Node:
    """Return the tree under /computeMetadata/v1/. `project` stays empty, as it does in Yandex Cloud."""
    return {
        "instance": _gce_instance(machine),
        "project": {},
        "yandex": {"cloud-id": machine.cloud_id, "folder-id": machine.folder_id},
    }


def ec2_tree(machine: MachineMetadata) -> Node:
    """Return the tree under /latest/ and under every dated version, which cloud-init reads.

    `network/interfaces/macs/MAC/` must be there, or cloud-init ends degraded; `ami-id` and `placement` spare it
    warnings. `public-keys` is not documented: on Yandex's own images `ssh-keys` ends at the image's default user, which
    is what cloud-init does with the keys that it finds there.
    """
    tree: dict[str, Node] = {
        "meta-data": _ec2_instance(machine),
        "dynamic": {},
        "vendor": {"instance-identity": {"document": machine.identity_document()}},
    }
    if user_data := machine.attributes.get("user-data"):
        tree["user-data"] = user_data
    return tree


def lookup(tree: Node, path: str) -> Node | None:
    """Return the node at `path`, None where nothing is. Slashes at its ends do not matter."""
    node: Node | None = tree
    for part in filter(None, path.split("/")):
        node = dict(_children(node)).get(part) if is_folder(node) else None
    return node


def is_folder(node: Node | None) -> bool:
    """Return whether the node has children, by name or by number."""
    return isinstance(node, Mapping | tuple)


def names(folder: Node) -> list[str]:
    """List the children of a folder, with a slash after each that is a folder itself."""
    if isinstance(folder, PublicKeys):
        return [f"{key}=default" for key in folder]
    return [f"{key}/" if is_folder(child) else key for key, child in sorted(_children(folder))]


def recursive_text(node: Node) -> str:
    """List every leaf below `node`, a line each: its path, a space, its value."""
    return "\n".join(f"{path} {value}" for path, value in _leaves(node, ""))


def recursive_json(node: Node) -> Json:
    """Return the tree for `json.dumps`: keys in camel case as Google writes them, lists for numbered folders."""
    match node:
        case tuple():
            return [recursive_json(child) for child in node]
        case Mapping():
            spell = str if isinstance(node, UserKeys) else _camel_case
            leaves = [(key, child) for key, child in sorted(node.items()) if not isinstance(child, OnDemand)]
            return {spell(key): recursive_json(child) for key, child in leaves}
        case OnDemand():
            raise TypeError(f"{node} has no value before it is asked for")
        case _:
            return node


def _gce_instance(machine: MachineMetadata) -> Node:
    return {
        "attributes": UserKeys(machine.attributes),
        "description": machine.description,
        "disks": tuple(_gce_disk(index, disk) for index, disk in enumerate(machine.disks)),
        "hostname": machine.fqdn,
        "id": machine.id,
        "maintenance-event": "NONE",
        "name": machine.name,
        "network-interfaces": tuple(map(_gce_interface, machine.interfaces)),
        "service-accounts": _gce_service_accounts(machine),
        "vendor": _vendor(machine),
        "zone": f"projects/{machine.cloud_id}/zones/{machine.zone}",
    }


def _gce_disk(index: int, disk: Disk) -> Node:
    return {"device-name": disk.device_name, "index": index, "mode": disk.mode, "type": "PERSISTENT"}


def _gce_interface(interface: Interface) -> Node:
    access: tuple[Node, ...] = ()
    if interface.public:
        access = ({"external-ip": interface.public, "type": "ONE_TO_ONE_NAT"},)
    return {"access-configs": access, "ip": interface.address, "mac": interface.mac, "network": interface.subnet_id}


def _gce_service_accounts(machine: MachineMetadata) -> Node:
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


def _ec2_instance(machine: MachineMetadata) -> Node:
    first = machine.interfaces[0]
    tree: dict[str, Node] = {
        "ami-id": machine.image_id,
        "hostname": machine.fqdn,
        "instance-id": machine.id,
        "local-hostname": machine.fqdn,
        "local-ipv4": first.address,
        "mac": first.mac,
        "network": {"interfaces": {"macs": _ec2_interfaces(machine)}},
        "placement": {"availability-zone": machine.zone},
    }
    if first.public:
        tree["public-ipv4"] = first.public
    if key := _first_key(machine.attributes.get("ssh-keys", "")):
        tree["public-keys"] = PublicKeys({"0": {"openssh-key": key}})
    if machine.service_account_id:
        tree["iam"] = {"security-credentials": {"default": OnDemand.AWS_TOKEN}}
    return tree


def _ec2_interfaces(machine: MachineMetadata) -> Node:
    return {
        interface.mac: _ec2_interface(number, interface, machine.fqdn)
        for number, interface in enumerate(machine.interfaces)
    }


def _ec2_interface(number: int, interface: Interface, fqdn: str) -> Node:
    tree: dict[str, Node] = {
        "device-number": str(number),
        "local-hostname": fqdn,
        "local-ipv4s": interface.address,
        "mac": interface.mac,
        "subnet-id": interface.subnet_id,
    }
    return tree | ({"public-ipv4s": interface.public} if interface.public else {})


def _first_key(ssh_keys: str) -> str:
    """Return the key of the first `<user>:<key>` line: Yandex takes no other."""
    first = ssh_keys.strip().partition("\n")[0]
    return first.partition(":")[2].strip()


def _children(node: Node | None) -> Iterator[tuple[str, Node]]:
    if isinstance(node, tuple):
        yield from ((str(index), child) for index, child in enumerate(node))
    elif isinstance(node, Mapping):
        yield from node.items()


def _leaves(node: Node, prefix: str) -> Iterator[tuple[str, str]]:
    for key, child in sorted(_children(node)):
        path = f"{prefix}/{key}" if prefix else key
        if is_folder(child):
            yield from _leaves(child, path)
        elif not isinstance(child, OnDemand):
            yield path, str(child)


def _camel_case(key: str) -> str:
    return re.sub(r"-(\w)", lambda match: match[1].upper(), key)
