"""Serves metadata to machines. A machine is known by its network and source address."""

from __future__ import annotations

from datetime import UTC, datetime

from yandex.cloud.compute.v1.disk_pb2 import Disk as ComputeDisk
from yandex.cloud.compute.v1.instance_pb2 import AttachedDisk, Instance, MetadataOption
from yandex.cloud.compute.v1.instance_pb2 import MetadataOptions as InstanceOptions
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.metadata.model import Disk, Interface, MachineMetadata, Options, Token
from samovar.localcloud.metadata.server import MetadataServer
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.networks.controller import NetworkController

ADDRESS, PORT = "169.254.169.254", 80


class MetadataEndpoint:
    """The endpoint answers in each network that is up, on a socket in that network's own namespace."""

    def __init__(self, store: Store, tokens: Tokens, networks: NetworkController) -> None:
        self._store = store
        self._tokens = tokens
        self._networks = networks
        self._server = MetadataServer(self._find, self._issue)
        self._served: set[str] = set()

    async def reconcile(self) -> None:
        up = {network.id for network in self._networks.up()}
        for network_id in up - self._served:
            await self._server.serve(network_id, self._networks.socket_at(network_id, ADDRESS, PORT))
            self._served.add(network_id)
        for network_id in self._served - up:
            await self._server.stop(network_id)
            self._served.discard(network_id)

    async def close(self) -> None:
        await self._server.close()

    def _find(self, network_id: str, address: str) -> MachineMetadata | None:
        machine_id = self._networks.machine_at(network_id, address)
        instance = self._store.get(Instance, machine_id) if machine_id else None
        return self._metadata_of(instance) if instance else None

    def _metadata_of(self, instance: Instance) -> MachineMetadata:
        boot = self._store.must(ComputeDisk, instance.boot_disk.disk_id)
        folder = self._store.must(Folder, instance.folder_id)
        return MachineMetadata(
            id=instance.id,
            name=instance.name,
            fqdn=instance.fqdn,
            zone=instance.zone_id,
            folder_id=folder.id,
            cloud_id=folder.cloud_id,
            image_id=boot.source_image_id,
            created_at=instance.created_at.ToJsonString(),
            interfaces=tuple(
                Interface(
                    mac=nic.mac_address,
                    address=nic.primary_v4_address.address,
                    subnet_id=nic.subnet_id,
                    public=nic.primary_v4_address.one_to_one_nat.address or None,
                )
                for nic in instance.network_interfaces
            ),
            disks=tuple(
                Disk(disk.device_name, AttachedDisk.Mode.Name(disk.mode))
                for disk in (instance.boot_disk, *instance.secondary_disks)
            ),
            attributes=dict(instance.metadata),
            labels=dict(instance.labels),
            description=instance.description,
            service_account_id=instance.service_account_id or None,
            options=_options(instance.metadata_options),
        )

    def _issue(self, machine: MachineMetadata) -> Token:
        token = self._tokens.issue(machine.service_account_id or "")
        return Token(token.text, datetime.fromtimestamp(token.expires_at, UTC))


def _options(options: InstanceOptions) -> Options:
    return Options(
        gce_endpoint=options.gce_http_endpoint == MetadataOption.ENABLED,
        gce_token=options.gce_http_token == MetadataOption.ENABLED,
        aws_endpoint=options.aws_v1_http_endpoint == MetadataOption.ENABLED,
        aws_token=options.aws_v1_http_token == MetadataOption.ENABLED,
    )
