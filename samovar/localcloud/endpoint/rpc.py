"""The RPCs of yandex.cloud.endpoint: a client asks here where each service answers."""

from __future__ import annotations

from yandex.cloud.endpoint import api_endpoint_service_pb2 as rpc
from yandex.cloud.endpoint.api_endpoint_pb2 import ApiEndpoint

from samovar.localcloud.api.errors import not_found
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.endpoint.model import Endpoints
from samovar.localcloud.registry import Service


class ApiEndpointService:
    """The one service that every client asks first; it takes no token."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def Get(self, request: rpc.GetApiEndpointRequest, caller: Caller) -> ApiEndpoint:
        address = self._endpoints.addresses(caller.host).get(request.api_endpoint_id)
        if address is None:
            raise not_found("ApiEndpoint", request.api_endpoint_id)
        return ApiEndpoint(id=request.api_endpoint_id, address=address)

    def List(self, _: rpc.ListApiEndpointsRequest, caller: Caller) -> rpc.ListApiEndpointsResponse:
        addresses = self._endpoints.addresses(caller.host)
        endpoints = [ApiEndpoint(id=name, address=address) for name, address in addresses.items()]
        return rpc.ListApiEndpointsResponse(endpoints=endpoints)


SERVICES = (Service(rpc, "endpoint", lambda context: ApiEndpointService(context.endpoints), public=True),)
