"""How much of the cloud's quotas an environment takes, at the most: pure. Ids as on Yandex Cloud's limits pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from samovar.deploy.foundation_specs import Disk
from samovar.deploy.specs import InstanceGroup, Kind, Resource

ONE_EACH = {
    Kind.ADDRESS: "vpc.externalStaticAddresses.count",
    Kind.NETWORK: "vpc.networks.count",
    Kind.GATEWAY: "vpc.gateways.count",
    Kind.ROUTE_TABLE: "vpc.routeTables.count",
    Kind.SUBNET: "vpc.subnets.count",
    Kind.SECURITY_GROUP: "vpc.securityGroups.count",
    Kind.DISK: "compute.disks.count",
    Kind.GROUP: "compute.instanceGroups.count",
    Kind.BALANCER: "ylb.networkLoadBalancers.count",
}
SSD, HDD = "compute.ssdDisks.size", "compute.hddDisks.size"
BAKE = ("vpc.networks.count", "vpc.subnets.count", "vpc.securityGroups.count")
"""What is there while Packer bakes, whatever it bakes."""


def needs(resources: Iterable[Resource], *, rolling: bool) -> Counter[str]:
    """What these take, by quota; sizes in bytes. `rolling` adds the machines that come before old ones go."""
    total: Counter[str] = Counter()
    for resource in resources:
        if quota := ONE_EACH.get(resource.ref.kind):
            total[quota] += 1
        if isinstance(resource.spec, InstanceGroup):
            total.update(_machines(resource.spec, rolling=rolling))
        elif isinstance(resource.spec, Disk):
            total[_space(resource.spec.type)] += resource.spec.size
    return total


def missing(wanted: Mapping[str, int], there: Mapping[str, int]) -> dict[str, int]:
    """What comes on top of what is there."""
    return {quota: count - there.get(quota, 0) for quota, count in wanted.items() if count > there.get(quota, 0)}


def _machines(group: InstanceGroup, *, rolling: bool) -> dict[str, int]:
    machines = group.size + (group.deploy.max_expansion if rolling else 0)
    template = group.template
    found = {
        "compute.instances.count": machines,
        "compute.instanceCores.count": machines * template.cores,
        "compute.instanceMemory.size": machines * template.memory,
        "compute.disks.count": machines,
        _space(template.disk_type): machines * template.disk,
    }
    if template.public:
        found["vpc.externalAddresses.count"] = machines
    if group.balanced:
        found["ylb.targetGroups.count"] = 1
    return found


def _space(disk_type: str) -> str:
    return HDD if disk_type == "network-hdd" else SSD
