"""The tree in Amazon's form, which cloud-init reads. Its keys: Yandex's documentation, vm-info/get-info.

`network/interfaces/macs/MAC/` must be there, or cloud-init ends degraded; `ami-id` and `placement` spare it warnings.
`public-keys` is not documented: on Yandex's own images `ssh-keys` ends at the image's default user, which is what
cloud-init does with the keys that it finds there.
"""

from __future__ import annotations

from samovar.localcloud.metadata.machine import Interface, MachineMetadata
from samovar.localcloud.metadata.tree import Node, OnDemand, PublicKeys


def ec2_tree(machine: MachineMetadata) -> Node:
    """What lies under /latest/ and under every dated version."""
    tree: dict[str, Node] = {
        "meta-data": _meta_data(machine),
        "dynamic": {},
        "vendor": {"instance-identity": {"document": machine.identity_document()}},
    }
    if user_data := machine.attributes.get("user-data"):
        tree["user-data"] = user_data
    return tree


def _meta_data(machine: MachineMetadata) -> Node:
    first = machine.interfaces[0]
    tree: dict[str, Node] = {
        "ami-id": machine.image_id,
        "hostname": machine.fqdn,
        "instance-id": machine.id,
        "local-hostname": machine.fqdn,
        "local-ipv4": first.address,
        "mac": first.mac,
        "network": {
            "interfaces": {
                "macs": {
                    interface.mac: _interface(number, interface, machine.fqdn)
                    for number, interface in enumerate(machine.interfaces)
                }
            }
        },
        "placement": {"availability-zone": machine.zone},
    }
    if first.public:
        tree["public-ipv4"] = first.public
    if key := _first_key(machine.attributes.get("ssh-keys", "")):
        tree["public-keys"] = PublicKeys({"0": {"openssh-key": key}})
    if machine.service_account_id:
        tree["iam"] = {"security-credentials": {"default": OnDemand.AWS_TOKEN}}
    return tree


def _interface(number: int, interface: Interface, fqdn: str) -> Node:
    tree: dict[str, Node] = {
        "device-number": str(number),
        "local-hostname": fqdn,
        "local-ipv4s": interface.address,
        "mac": interface.mac,
        "subnet-id": interface.subnet_id,
    }
    return tree | ({"public-ipv4s": interface.public} if interface.public else {})


def _first_key(ssh_keys: str) -> str:
    """Of `<user>:<key>` lines, the first key: Yandex takes no other."""
    first = ssh_keys.strip().partition("\n")[0]
    return first.partition(":")[2].strip()
