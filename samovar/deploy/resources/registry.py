"""The handler of each kind of resource."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from samovar.deploy.resources.address import AddressHandler, InternalAddressHandler
from samovar.deploy.resources.disk import DiskHandler
from samovar.deploy.resources.handler import Handler
from samovar.deploy.resources.instance_group import InstanceGroupHandler
from samovar.deploy.resources.load_balancer import LoadBalancerHandler
from samovar.deploy.resources.network import NetworkHandler, SubnetHandler
from samovar.deploy.resources.resource import Kind, Resource, Spec
from samovar.deploy.resources.route_table import GatewayHandler, RouteTableHandler
from samovar.deploy.resources.secret import SecretHandler
from samovar.deploy.resources.security_group import SecurityGroupHandler
from samovar.deploy.resources.seed_record import SeedRecordHandler
from samovar.deploy.resources.service_account import ServiceAccountHandler
from samovar.deploy.resources.snapshot_schedule import SnapshotScheduleHandler

AnyHandler = Handler[Any, Any]
"""A handler of some kind: its specs and messages are those of that kind, which no type says."""

_HANDLERS: tuple[AnyHandler, ...] = (
    AddressHandler(),
    NetworkHandler(),
    GatewayHandler(),
    RouteTableHandler(),
    SubnetHandler(),
    InternalAddressHandler(),
    SecurityGroupHandler(),
    ServiceAccountHandler(),
    SecretHandler(),
    DiskHandler(),
    SnapshotScheduleHandler(),
    SeedRecordHandler(),
    InstanceGroupHandler(),
    LoadBalancerHandler(),
)
HANDLERS: Mapping[Kind, AnyHandler] = {handler.KIND: handler for handler in _HANDLERS}


def namespace(kind: Kind) -> Kind:
    """Return the kind among whose resources a name must be unique in the folder."""
    return HANDLERS[kind].NAMESPACE or kind


def quota_demand(resources: Iterable[Resource[Spec]], *, rolling: bool) -> Counter[str]:
    """Return what the resources take of each quota, sizes in bytes. `rolling` adds surplus machines of a rollout."""
    total: Counter[str] = Counter()
    for resource in resources:
        total.update(resource.spec.quota_demand(rolling=rolling))
    return total
