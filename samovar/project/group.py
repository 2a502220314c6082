"""A group of equal machines, as an environment states it with a kind of group. Sizes are in bytes.

A kind (`samovar.project.group_kind`) holds what its groups have in common, an environment the rest.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from samovar.core.constants import ANY_IPV4, SSH_PORT
from samovar.core.validation import FieldError
from samovar.project.autoscale import Autoscale
from samovar.project.balancer import Balancer, Health
from samovar.project.data_disk import DataDisk
from samovar.project.fields import (
    Addresses,
    KindName,
    MachineImage,
    Name,
    OutsidePort,
    Port,
    SecretBindings,
    Strict,
)
from samovar.project.machine import Machine

WIDEST_RANGE = 8
"""The shortest prefix of a range that can be one organisation's: 10.0.0.0/8 is the largest private one."""


class Policy(Strict):
    """The way a group replaces its machines, and heals them."""

    max_unavailable: Annotated[int, Field(ge=0, le=100)] = Field(
        default=0, description="how many machines may be missing while others are replaced; with data disks one"
    )
    max_expansion: Annotated[int, Field(ge=0, le=100)] = Field(
        default=1, description="how many machines may be there beyond `size` meanwhile; with data disks none"
    )
    max_creating: Annotated[int, Field(ge=0, le=100)] = Field(
        default=0, description="how many machines are created at a time; 0 for as many as are needed"
    )
    startup: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=0, description="seconds that a new machine must be healthy before the next one is replaced"
    )
    healing: Literal["recreate", "restart"] = Field(
        default="recreate", description="what becomes of a machine that lost its health: a new one, or a restart"
    )

    @model_validator(mode="after")
    def _can_proceed(self) -> Self:
        if not self.max_unavailable and not self.max_expansion:
            problem = "max_unavailable and max_expansion are both 0: no machine could ever be replaced"
            raise FieldError(problem, remedy="let one of them be 1 or more")
        return self


class Egress(Strict):
    """A way out of the network for the machines of a group."""

    port: OutsidePort = Field(description="the port there")
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description="`tcp` or `udp`")
    to: Addresses = Field(default=IPv4Network(ANY_IPV4), description="the range of addresses; without it all")


class Ingress(Strict):
    """A way to the machines of a group from outside of the environment, as from an office or a peered network."""

    port: OutsidePort = Field(description="the port of the machines")
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description="`tcp` or `udp`")
    source: Addresses = Field(
        alias="from",
        description="the range of addresses, /8 or narrower; a wider one, as 0.0.0.0/0, is for `public` machines "
        "alone, and never for SSH",
    )

    @property
    def is_from_anywhere(self) -> bool:
        """Return whether the range is too wide to be one organisation's."""
        return self.source.prefixlen < WIDEST_RANGE


class Group(Strict):
    """A group of equal machines. An environment's group has the keys of its kind, and its own go before these."""

    kind: KindName | None = Field(
        default=None,
        description="a file of groups/, or `samovar/NAME` of the library: its values hold where none stands here; a "
        "mapping such as `machine` is laid over the kind's key by key",
    )
    image: MachineImage = Field(
        description="a folder of images/, or `samovar/NAME` of the library; its role says which settings and secrets "
        "it knows"
    )
    size: Annotated[int, Field(ge=1, le=100)] = Field(
        description="how many machines; whichever dies is replaced. With `autoscale` how many it begins with"
    )
    autoscale: Autoscale | None = Field(
        default=None, description="the rules by which the cloud changes the number of machines; without it `size` stays"
    )
    machine: Machine = Field(description="the size of each machine")
    health: Health = Field(
        default=Health(),
        description="the page at which a machine says that it lives; its group replaces one that does not",
    )
    policy: Policy = Field(default=Policy(), description="how machines are replaced and healed")
    public: bool = Field(
        default=False,
        description="`true` gives each machine a public address of its own; edges then answer there over HTTP/3",
    )
    balancer: Balancer | None = Field(default=None, description="the network load balancer before the group")
    settings: dict[str, object] = Field(
        default={}, description="what the role is told, such as ports and names; a change replaces the machines in turn"
    )
    upstreams: dict[Name, Name] = Field(
        default={},
        description="what these machines ask, by the names that their role gives it: each a group, which is asked "
        "through its internal balancer where it has one, or a server of `external`",
    )
    egress: tuple[Egress, ...] = Field(
        default=(), description="what else these machines may reach; the cloud's API, NTP and upstreams always"
    )
    ingress: tuple[Ingress, ...] = Field(
        default=(),
        description="who else may reach these machines; groups that ask this one, and clients of an external balancer, "
        "always",
    )
    ports: tuple[Port, ...] = Field(
        default=(),
        description="what the group that asks may reach on these machines beside the balancer's targets; and behind a "
        "balancer, what these machines may reach on each other",
    )
    secrets: SecretBindings = Field(
        default={},
        description="the secrets that these machines may read, by the names that their role gives them: "
        "`{password: postgres_password}`; as a list where both names are the same",
    )
    cloudinit: tuple[Name, ...] = Field(
        default=(),
        description="fragments of cloud-config, each a file `cloudinit/NAME.yaml`, that are merged into the machines' "
        "user-data: lists are joined, mappings merged",
    )
    exporters: dict[Name, Port] = Field(
        default={},
        description="ports at which these machines show metrics below /metrics, by a name of what shows them: "
        "`{api: 9000}`. The group that `monitors` reaches them, and nobody else",
    )
    monitors: bool = Field(
        default=False,
        description="`true`: these machines collect the metrics and the journals of all groups (docs/metrics.md)",
    )
    objectives: str | None = Field(
        default=None,
        description="the load profile whose bounds a group that `monitors` watches as service level objectives",
    )
    data_disks: dict[Name, DataDisk] = Field(
        default={},
        description="by name: disks that outlive machines and environment; the group has one machine then. Each "
        "is laid over the kind's key by key",
    )
    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Return its name: the key under which it stands in `groups`."""
        return self._name

    @property
    def balancer_health(self) -> Health:
        """Return the page that the balancer asks."""
        return (self.balancer and self.balancer.health) or self.health

    @property
    def largest_size(self) -> int:
        """Return how many machines it has at most."""
        return self.autoscale.max_size if self.autoscale else self.size

    def smallest_size(self, zones: int) -> int:
        """Return how many machines it keeps in so many zones."""
        return self.autoscale.min_zone_size * zones if self.autoscale else self.size

    @property
    def seeded_disk(self) -> str | None:
        """Return the name of the data disk that the image fills once."""
        return next((name for name, disk in self.data_disks.items() if disk.seed), None)

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.autoscale and self.data_disks:
            problem = "a data disk is attached to one machine: its group is not scaled"
            raise FieldError(problem, "autoscale", remedy="remove autoscale or data_disks")
        if self.size > self.largest_size:
            problem = f"the group begins with {self.size} machines, and max_size is less"
            raise FieldError(
                problem, "autoscale", "max_size", remedy=f"let max_size be {self.size} or more, or size less"
            )
        return self

    @model_validator(mode="after")
    def _ingress_names_who_comes(self) -> Self:
        for number, way in enumerate(self.ingress):
            if way.is_from_anywhere and (way.port == SSH_PORT or not self.public):
                why = (
                    "SSH is for ranges that are known"
                    if self.public
                    else "machines without `public` have no address there"
                )
                problem = f"{way.source} is the whole internet: {why}"
                remedy = "name the range of the office, the VPN or the peered network, /8 or narrower"
                raise FieldError(problem, "ingress", number, "from", remedy=remedy)
        return self

    @model_validator(mode="after")
    def _disks_fit(self) -> Self:
        if self.data_disks and self.size != 1:
            problem = f"a data disk is attached to one machine: its group has size 1, not {self.size}"
            raise FieldError(problem, "size", remedy="write size: 1, or remove data_disks")
        seeded = [name for name, disk in self.data_disks.items() if disk.seed]
        if len(seeded) > 1:
            problem = f"{' and '.join(seeded)}: one disk of a group is seeded, not two"
            raise FieldError(problem, "data_disks", seeded[1], "seed", remedy="seed one of them")
        mounts = {name: disk.mount for name, disk in self.data_disks.items() if disk.mount}
        for name, mount in mounts.items():
            if [*mounts.values()].count(mount) > 1:
                problem = f"two of the group's disks have the mount {mount}"
                raise FieldError(problem, "data_disks", name, "mount", remedy="give one of them another folder")
        return self
