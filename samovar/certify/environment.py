"""The environment of the programme: two groups of small machines, one behind each kind of balancer. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from samovar.cloud.labels import IMAGE, of_environment
from samovar.core.constants import DEFAULT_ZONE, GIB
from samovar.deploy.desired import desired
from samovar.deploy.resources.registry import quota_demand
from samovar.deploy.resources.resource import Desired
from samovar.project.environment import Environment

NAME = "samovar-certify"
"""The name of the environment, in the label `env` of all that the programme makes, and the beginning of every name."""
FAMILY_FOLDER, FAMILY = "standard-images", "debian-12"
"""The public image that every machine starts from."""
LABELS = of_environment(NAME)
IMAGE_LABELS = {**LABELS, IMAGE: "certify"}
MIN_DISK = 10 * GIB
APP, DATA, DATA_DISK = "app", "data", "data"
SIZE, LARGER = 2, 3
"""The machines of the group `app` at first, and after the rollout that makes it larger."""
USER_DATA = """\
#cloud-config
# revision {revision}
write_files:
  - path: /srv/-/health
    content: well
  - path: /etc/systemd/system/health.service
    content: |
      [Service]
      ExecStart=/usr/bin/python3 -m http.server --directory /srv 80
      Restart=always
      [Install]
      WantedBy=multi-user.target
runcmd:
  - [systemctl, daemon-reload]
  - [systemctl, enable, --now, health.service]
"""


def environment(size: int, disk: int = MIN_DISK, zone: str = DEFAULT_ZONE) -> Environment:
    """Return the environment with `size` machines in the group `app`; `disk` is the bytes of a boot disk."""
    machine = {"cores": 2, "core_fraction": 20, "memory": "1G", "disk": f"{max(-(-disk // GIB), MIN_DISK // GIB)}G"}
    group = {"image": "certify", "machine": machine}
    described = {
        "zones": [zone],
        "network": {"cidr": "10.66.0.0/16"},
        "groups": {
            DATA: {
                **group,
                "size": 1,
                "balancer": {"type": "external", "listeners": {"http": 80}},
                "data_disks": {DATA_DISK: {"size": "10G", "type": "network-hdd"}},
                "upstreams": {APP: APP},
            },
            APP: {**group, "size": size, "balancer": {"type": "internal", "listeners": {"http": 80}}},
        },
    }
    return Environment.model_validate(described, context={"name": NAME, "project": None})


def resources(environment: Environment, revision: int) -> Desired:
    """Return the resources of the environment; another `revision` makes other machines."""
    metadata = {"user-data": USER_DATA.format(revision=revision)}
    groups = environment.groups
    return desired(environment, {group.image: NAME for group in groups}, {group.name: metadata for group in groups})


QUOTAS: Mapping[str, tuple[str, int]] = {
    "compute.instances.count": ("machines", 1),
    "compute.instanceCores.count": ("cores at 20 per cent", 1),
    "compute.instanceMemory.size": ("GB of memory", GIB),
    "compute.ssdDisks.size": ("GB of disks of type network-ssd", GIB),
    "compute.hddDisks.size": ("GB of disks of type network-hdd", GIB),
    "compute.images.count": ("image", 1),
    "ylb.networkLoadBalancers.count": ("network load balancers", 1),
    "vpc.externalStaticAddresses.count": ("static public address", 1),
    "vpc.gateways.count": ("NAT gateway", 1),
}
"""What is billed, by the quota that counts it: its words, and the unit."""


def billed() -> tuple[tuple[str, int], ...]:
    """Return the billed resources of the programme at its peak, each in words with its amount."""
    demand = quota_demand(resources(environment(LARGER), 1).resources, rolling=True)
    demand["compute.images.count"] = 1
    return tuple((words, demand[quota] // unit) for quota, (words, unit) in QUOTAS.items() if demand[quota])
