"""The services of the cloud. A service is a folder whose module `rpc` has its record, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import NetworkLoadBalancer, TargetState
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target

from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.endpoint.model import Endpoints
from samovar.localcloud.home.home import Home
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository
from samovar.localcloud.store.store import Store

PACKAGES = (
    "endpoint",
    "iam",
    "iam.keys",
    "operations",
    "compute.disks",
    "compute.filesystems",
    "compute.images",
    "compute.instances",
    "compute.instance_groups",
    "compute.snapshots",
    "compute.snapshot_schedules",
    "compute.zones",
    "vpc.addresses",
    "vpc.networks",
    "vpc.routes",
    "vpc.security_groups",
    "load_balancer.network_load_balancers",
    "load_balancer.target_groups",
    "resource_manager",
    "lockbox",
    "quota_manager",
)
"""The folders below `samovar/localcloud`, in the order of the endpoint list."""


@dataclass(frozen=True)
class Context:
    """The context holds what a service may be made from.

    `read_console` returns what a machine wrote on its serial console. `fetch` brings an image's file from a uri, and
    returns False where there is none. `target_status` is what a balancer's probes show of a target. `simulated`
    machines take what a container cannot: several interfaces, file systems, and disks while they run.
    """

    store: Store
    operations: Operations
    home: Home
    tokens: Tokens
    number: int
    endpoints: Endpoints
    quotas: tuple[Quota, ...]
    read_console: Callable[[str], bytes]
    fetch: Callable[[str, Path], bool]
    target_status: Callable[[NetworkLoadBalancer, Target], TargetState.Status.ValueType]
    simulated: bool = False
    target_groups_come_late: bool = False


@dataclass(frozen=True)
class Service:
    """The record of a service: all that the rest of the cloud has to know of it.

    `module` is the generated module that describes its RPCs. `endpoint` is its id in the list of API endpoints. A call
    takes a role such as `editor` or `<role_prefix>.editor`; without a prefix the endpoint's id is it. A service that
    `authorizes_itself` decides for each resource who may call; a `public` one takes no token.
    """

    module: ModuleType
    endpoint: str
    make: Callable[[Context], object]
    resources: type[Repository[Any]] | None = None
    role_prefix: str = ""
    authorizes_itself: bool = False
    public: bool = False

    @property
    def descriptor(self) -> ServiceDescriptor:
        (descriptor,) = self.module.DESCRIPTOR.services_by_name.values()
        assert isinstance(descriptor, ServiceDescriptor)  # noqa: S101 - shows the type checker what it is
        return descriptor


def load_services(packages: Iterable[str] = PACKAGES) -> tuple[Service, ...]:
    """Return the records of the services of these packages."""
    return tuple(service for package in packages for service in _services(package))


def _services(package: str) -> Iterator[Service]:
    yield from import_module(f"samovar.localcloud.{package}.rpc").SERVICES


def quotas(services: Iterable[Service]) -> tuple[Quota, ...]:
    """Return the quotas of all services: first those that count resources, then those on their sizes."""
    resources = [service.resources for service in services if service.resources]
    counts = (kind.count_quota for kind in resources if kind.count_quota)
    return (*counts, *(quota for kind in resources for quota in kind.size_quotas))


def role_prefixes(services: Iterable[Service]) -> Mapping[str, str]:
    """Return the prefix of the roles of each service, by the service's full name."""
    return {service.descriptor.full_name: service.role_prefix or service.endpoint for service in services}
