"""The RPCs of yandex.cloud.quotamanager: the quotas of the one cloud, and how much of them is used."""

from __future__ import annotations

from google.protobuf.message import Message
from yandex.cloud.quotamanager.v1 import quota_limit_service_pb2 as rpc
from yandex.cloud.quotamanager.v1.resource_pb2 import Resource
from yandex.cloud.resourcemanager.v1.cloud_pb2 import Cloud

from samovar.localcloud.api.errors import not_found
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.quota_manager.model import Quota, QuotaUsage, quota_usage
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.rpc import page
from samovar.localcloud.store.store import Store

CLOUD = "resource-manager.cloud"


class QuotaLimitService:
    """Quotas belong to the cloud; the first word of a quota's name is its service."""

    def __init__(self, store: Store, quotas: tuple[Quota, ...]) -> None:
        self._store = store
        self._quotas = quotas

    def Get(self, request: rpc.GetQuotaLimitRequest, _: Caller) -> rpc.QuotaLimit:
        self._expect_cloud(request.resource)
        for quota in self._quotas:
            if quota.name == request.quota_id:
                return _limit(quota_usage(self._store, quota))
        raise not_found("QuotaLimit", request.quota_id)

    def List(self, request: rpc.ListQuotaLimitsRequest, _: Caller) -> Message:
        self._expect_cloud(request.resource)
        limits = [
            _limit(quota_usage(self._store, quota))
            for quota in self._quotas
            if quota.name.startswith(f"{request.service}.")
        ]
        response = page(request, limits)
        response.MergeFrom(rpc.ListQuotaLimitsResponse(resource=request.resource))
        return response

    def ListServices(self, request: rpc.ListServicesRequest, _: Caller) -> Message:
        names = sorted({quota.name.partition(".")[0] for quota in self._quotas})
        services = [rpc.Service(id=name, name=name) for name in names] if request.resource_type == CLOUD else []
        return page(request, services)

    def _expect_cloud(self, resource: Resource) -> None:
        if resource.type != CLOUD or self._store.get(Cloud, resource.id) is None:
            raise not_found("Resource", f"{resource.type} {resource.id}")


def _limit(used: QuotaUsage) -> rpc.QuotaLimit:
    limit = rpc.QuotaLimit(quota_id=used.name)
    limit.limit.value, limit.usage.value = used.limit, used.usage
    return limit


SERVICES = (Service(rpc, "quota-manager", lambda context: QuotaLimitService(context.store, context.quotas)),)
