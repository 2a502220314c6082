"""The services of the cloud. A service is a folder whose module `rpc` has its record, and one line here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module

from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.rpc import Service

PACKAGES = (
    "endpoint",
    "iam",
    "iam.user_accounts",
    "operations",
    "compute.disks",
    "compute.images",
    "compute.instances",
    "compute.instance_groups",
    "compute.snapshots",
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


def load_services(packages: Iterable[str] = PACKAGES) -> tuple[Service, ...]:
    """Returns the records of the services of these packages."""
    return tuple(service for package in packages for service in _services(package))


def _services(package: str) -> Iterator[Service]:
    yield from import_module(f"samovar.localcloud.{package}.rpc").SERVICES


def quotas(services: Iterable[Service]) -> tuple[Quota, ...]:
    """Returns the quotas of all services: first those that count resources, then those on their sizes."""
    resources = [service.resources for service in services if service.resources]
    counts = (kind.count_quota for kind in resources if kind.count_quota)
    return (*counts, *(quota for kind in resources for quota in kind.size_quotas))


def role_prefixes(services: Iterable[Service]) -> Mapping[str, str]:
    """Returns the prefix of the roles of each service, by the service's full name."""
    return {service.descriptor.full_name: service.role_prefix or service.endpoint for service in services}
