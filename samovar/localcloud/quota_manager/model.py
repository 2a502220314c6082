"""How much of everything there may be: Yandex Cloud's own quotas (documented on its limits pages), or raised ones.

Two environments do not fit into the quotas that a new cloud of Yandex has, so they are raised here unless a home is
told otherwise, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.rpc.code_pb2 import Code
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import NetworkLoadBalancer
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.vpc.v1.address_pb2 import Address
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.core.units import GIB
from samovar.localcloud.api.errors import Refused
from samovar.localcloud.compute.images.standard_images import FOLDER
from samovar.localcloud.home.home import QuotaSet
from samovar.localcloud.store.store import Store, Stored

NOTE = ("quotas", "set")
RAISED_BY = 100
HDD = "network-hdd"


@dataclass(frozen=True)
class Quota:
    """`name` as Yandex Cloud has it in its documentation and in its errors; `counts` says how much a resource takes."""

    name: str
    limit: int
    counts: Callable[[Any], int] = bool


QUOTAS: dict[type[Stored], Quota] = {
    Address: Quota("vpc.externalStaticAddresses.count", 2, lambda address: address.HasField("external_ipv4_address")),
    Disk: Quota("compute.disks.count", 32),
    Image: Quota("compute.images.count", 32, lambda image: image.folder_id != FOLDER),
    Instance: Quota("compute.instances.count", 12),
    InstanceGroup: Quota("compute.instanceGroups.count", 10),
    Network: Quota("vpc.networks.count", 2),
    NetworkLoadBalancer: Quota("ylb.networkLoadBalancers.count", 2),
    RouteTable: Quota("vpc.routeTables.count", 8),
    SecurityGroup: Quota("vpc.securityGroups.count", 10),
    Snapshot: Quota("compute.snapshots.count", 32),
    Subnet: Quota("vpc.subnets.count", 12),
    TargetGroup: Quota("ylb.targetGroups.count", 100),
}


SIZES: dict[type[Stored], tuple[Quota, ...]] = {
    Disk: (
        Quota("compute.ssdDisks.size", 200 * GIB, lambda disk: disk.size * (disk.type_id != HDD)),
        Quota("compute.hddDisks.size", 500 * GIB, lambda disk: disk.size * (disk.type_id == HDD)),
    ),
    Instance: (
        Quota("compute.instanceCores.count", 32, lambda instance: instance.resources.cores),
        Quota("compute.instanceMemory.size", 128 * GIB, lambda instance: instance.resources.memory),
    ),
    Snapshot: (Quota("compute.snapshots.size", 400 * GIB, lambda snapshot: snapshot.storage_size),),
}
"""Of these each resource takes as much as it is large."""


def choose_quotas(store: Store, chosen: QuotaSet) -> None:
    """Holds for this home until others are chosen."""
    with store.transaction():
        store.note(*NOTE, chosen.value)


@dataclass(frozen=True)
class Used:
    """A quota as it is now."""

    name: str
    limit: int
    usage: int


def used(store: Store) -> list[Used]:
    """Every quota."""
    sizes = [(kind, quota) for kind, quotas in SIZES.items() for quota in quotas]
    return [_used(store, kind, quota) for kind, quota in (*QUOTAS.items(), *sizes)]


def check_quota(store: Store, kind: type[Stored]) -> None:
    """RESOURCE_EXHAUSTED where there is no room for one more, in the words of the real API."""
    quota = QUOTAS.get(kind)
    if quota is None:
        return
    found = _used(store, kind, quota)
    if found.usage >= found.limit:
        raise Refused(Code.RESOURCE_EXHAUSTED, f"Quota limit {quota.name} exceeded")


def check_sizes(store: Store, resource: Stored) -> None:
    """The same where there is no room for one as large as this, which is not stored yet."""
    for quota in SIZES[type(resource)]:
        found = _used(store, type(resource), quota)
        if found.usage + quota.counts(resource) > found.limit:
            raise Refused(Code.RESOURCE_EXHAUSTED, f"Quota limit {quota.name} exceeded")


def _used(store: Store, kind: type[Stored], quota: Quota) -> Used:
    raised = store.noted(*NOTE, QuotaSet.RAISED.value) == QuotaSet.RAISED.value
    return Used(quota.name, quota.limit * (RAISED_BY if raised else 1), sum(map(quota.counts, store.all(kind))))
