"""The services of the cloud: one line for each. Their order is that of the endpoint list."""

from __future__ import annotations

from collections.abc import Mapping

from samovar.localcloud.compute.disks import rpc as disks
from samovar.localcloud.compute.images import rpc as images
from samovar.localcloud.compute.instance_groups import rpc as instance_groups
from samovar.localcloud.compute.instances import rpc as instances
from samovar.localcloud.compute.snapshots import rpc as snapshots
from samovar.localcloud.compute.zones import rpc as zones
from samovar.localcloud.endpoint import rpc as endpoint
from samovar.localcloud.iam import rpc as iam
from samovar.localcloud.iam.user_accounts import rpc as user_accounts
from samovar.localcloud.load_balancer.network_load_balancers import rpc as network_load_balancers
from samovar.localcloud.load_balancer.target_groups import rpc as target_groups
from samovar.localcloud.lockbox import rpc as lockbox
from samovar.localcloud.operations import rpc as operations
from samovar.localcloud.quota_manager import rpc as quota_manager
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resource_manager import rpc as resource_manager
from samovar.localcloud.resources.rpc import Service
from samovar.localcloud.vpc.addresses import rpc as addresses
from samovar.localcloud.vpc.networks import rpc as networks
from samovar.localcloud.vpc.routes import rpc as routes
from samovar.localcloud.vpc.security_groups import rpc as security_groups

SERVICES: tuple[Service, ...] = (
    endpoint.SERVICE,
    iam.SERVICE_ACCOUNTS,
    iam.KEYS,
    iam.TOKENS,
    user_accounts.ACCOUNTS,
    user_accounts.PASSPORT,
    operations.SERVICE,
    disks.SERVICE,
    images.SERVICE,
    instances.SERVICE,
    instance_groups.SERVICE,
    snapshots.SERVICE,
    zones.ZONE,
    zones.DISK_TYPE,
    addresses.SERVICE,
    networks.NETWORKS,
    networks.SUBNETS,
    routes.GATEWAYS,
    routes.ROUTE_TABLES,
    security_groups.SERVICE,
    network_load_balancers.SERVICE,
    target_groups.SERVICE,
    resource_manager.CLOUDS,
    resource_manager.FOLDERS,
    lockbox.SECRETS,
    lockbox.PAYLOADS,
    quota_manager.SERVICE,
)


def quotas(services: tuple[Service, ...]) -> tuple[Quota, ...]:
    """Returns the quotas of all services: first those that count resources, then those on their sizes."""
    resources = [service.resources for service in services if service.resources]
    counts = (kind.count_quota for kind in resources if kind.count_quota)
    return (*counts, *(quota for kind in resources for quota in kind.size_quotas))


def role_prefixes(services: tuple[Service, ...]) -> Mapping[str, str]:
    """Returns the prefix of the roles of each service, by the service's full name."""
    return {service.descriptor.full_name: service.role_prefix or service.endpoint for service in services}
