"""How much of everything the cloud lets us have, and how much of it is used: by the API of Quota Manager."""

from __future__ import annotations

from dataclasses import dataclass

from yandex.cloud.quotamanager.v1 import quota_limit_service_pb2 as rpc
from yandex.cloud.quotamanager.v1.quota_limit_service_pb2_grpc import QuotaLimitServiceStub
from yandex.cloud.quotamanager.v1.resource_pb2 import Resource

from samovar.cloud.session import Session

CLOUD = "resource-manager.cloud"
"""Quotas are a cloud's, not a folder's; the API's own name for that kind of resource."""
SERVICES = frozenset({"compute", "vpc", "ylb", "load-balancer", "iam", "lockbox"})


@dataclass(frozen=True)
class Quota:
    """A quota by its id in the API (`vpc.networks.count`); sizes are in bytes."""

    id: str
    limit: float
    usage: float


def quotas(session: Session, cloud_id: str) -> dict[str, Quota]:
    """By id, those of the services that the tool uses. Raises CloudError, also where the cloud has no such API."""
    client = session.client(QuotaLimitServiceStub)
    services = session.list(
        client.ListServices, rpc.ListServicesRequest(resource_type=CLOUD), lambda page: page.services
    )
    found: dict[str, Quota] = {}
    for service in sorted({each.id for each in services} & SERVICES):
        request = rpc.ListQuotaLimitsRequest(resource=Resource(id=cloud_id, type=CLOUD), service=service)
        for limit in session.list(client.List, request, lambda page: page.quota_limits):
            found[limit.quota_id] = Quota(limit.quota_id, limit.limit.value, limit.usage.value)
    return found
