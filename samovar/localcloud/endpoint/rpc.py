"""yandex.cloud.endpoint: where each service answers. Here all of them answer at one port, and over REST at another."""

from __future__ import annotations

from yandex.cloud.endpoint.api_endpoint_pb2 import ApiEndpoint
from yandex.cloud.endpoint.api_endpoint_service_pb2 import (
    GetApiEndpointRequest,
    ListApiEndpointsRequest,
    ListApiEndpointsResponse,
)

from samovar.localcloud.api.errors import not_found
from samovar.localcloud.api.pipeline import Caller

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
    "quota-manager",
)
REST = ("storage", "localcloud")


class ApiEndpointService:
    """`localcloud` is an id that Yandex Cloud does not have: by it a client learns that there is a local hand."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}

    def answer_at(self, *, grpc: str, rest: str) -> None:
        """Both as host:port, once they are known."""
        self._addresses = dict.fromkeys(GRPC, grpc) | dict.fromkeys(REST, rest)

    def Get(self, request: GetApiEndpointRequest, caller: Caller) -> ApiEndpoint:
        address = self._seen_by(caller).get(request.api_endpoint_id)
        if address is None:
            raise not_found("ApiEndpoint", request.api_endpoint_id)
        return ApiEndpoint(id=request.api_endpoint_id, address=address)

    def List(self, _: ListApiEndpointsRequest, caller: Caller) -> ListApiEndpointsResponse:
        endpoints = [ApiEndpoint(id=name, address=address) for name, address in self._seen_by(caller).items()]
        return ListApiEndpointsResponse(endpoints=endpoints)

    def _seen_by(self, caller: Caller) -> dict[str, str]:
        """Who asks over REST is told to go on where they asked, by the name that they know."""
        return dict.fromkeys(self._addresses, caller.host) if caller.host else self._addresses
