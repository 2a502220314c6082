"""yandex.cloud.endpoint: where each service answers. Here all of them answer at one port."""

from __future__ import annotations

from yandex.cloud.endpoint.api_endpoint_pb2 import ApiEndpoint
from yandex.cloud.endpoint.api_endpoint_service_pb2 import (
    GetApiEndpointRequest,
    ListApiEndpointsRequest,
    ListApiEndpointsResponse,
)

from localcloud.api.pipeline import Caller
from localcloud.api.refusal import not_found

GRPC = (
    "endpoint",
    "iam",
    "operation",
    "compute",
    "vpc",
    "load-balancer",
    "resource-manager",
    "lockbox",
    "lockbox-payload",
)
REST = ("storage", "localcloud")


class ApiEndpointService:
    """`localcloud` is an id that Yandex Cloud does not have: by it a client learns that there is a local hand."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}

    def answer_at(self, *, grpc: str, rest: str) -> None:
        """Both as host:port, once they are known."""
        self._addresses = dict.fromkeys(GRPC, grpc) | dict.fromkeys(REST, rest)

    def Get(self, request: GetApiEndpointRequest, _: Caller) -> ApiEndpoint:
        address = self._addresses.get(request.api_endpoint_id)
        if address is None:
            raise not_found("ApiEndpoint", request.api_endpoint_id)
        return ApiEndpoint(id=request.api_endpoint_id, address=address)

    def List(self, _: ListApiEndpointsRequest, __: Caller) -> ListApiEndpointsResponse:
        endpoints = [ApiEndpoint(id=name, address=address) for name, address in self._addresses.items()]
        return ListApiEndpointsResponse(endpoints=endpoints)
