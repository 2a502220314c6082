"""yandex.cloud.quotamanager: the quotas of the one cloud, and how much of them is used."""

from __future__ import annotations

from yandex.cloud.quotamanager.v1 import quota_limit_service_pb2 as rpc
from yandex.cloud.quotamanager.v1.resource_pb2 import Resource
from yandex.cloud.resourcemanager.v1.cloud_pb2 import Cloud

from samovar.localcloud.api.errors import not_found
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.quota_manager.model import QUOTAS, Used, used
from samovar.localcloud.resources.model import page
from samovar.localcloud.store.store import Store

CLOUD = "resource-manager.cloud"


class QuotaLimitService:
    """Quotas are a cloud's; their services are the first words of their names."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def Get(self, request: rpc.GetQuotaLimitRequest, _: Caller) -> rpc.QuotaLimit:
        self._expect_cloud(request.resource)
        for found in used(self._store):
            if found.name == request.quota_id:
                return _limit(found)
        raise not_found("QuotaLimit", request.quota_id)

    def List(self, request: rpc.ListQuotaLimitsRequest, _: Caller) -> rpc.ListQuotaLimitsResponse:
        self._expect_cloud(request.resource)
        of_service = [_limit(found) for found in used(self._store) if found.name.startswith(f"{request.service}.")]
        return page(request, rpc.ListQuotaLimitsResponse(resource=request.resource), "quota_limits", of_service)

    def ListServices(self, request: rpc.ListServicesRequest, _: Caller) -> rpc.ListServicesResponse:
        names = sorted({quota.name.partition(".")[0] for quota in QUOTAS.values()})
        services = [rpc.Service(id=name, name=name) for name in names] if request.resource_type == CLOUD else []
        return page(request, rpc.ListServicesResponse(), "services", services)

    def _expect_cloud(self, resource: Resource) -> None:
        if resource.type != CLOUD or self._store.get(Cloud, resource.id) is None:
            raise not_found("Resource", f"{resource.type} {resource.id}")


def _limit(found: Used) -> rpc.QuotaLimit:
    limit = rpc.QuotaLimit(quota_id=found.name)
    limit.limit.value, limit.usage.value = found.limit, found.usage
    return limit
