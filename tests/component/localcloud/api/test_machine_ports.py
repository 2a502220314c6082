"""The operator's way to a port of a machine's loopback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from yarl import URL

from samovar.cloud.local_admin import Host
from samovar.cloud.local_rest import Rest
from samovar.core.errors import CloudError
from samovar.localcloud.api.admin import port_route
from samovar.localcloud.network.namespaces import open_socket
from tests.support.simulated import RunningCloud


async def echo(request: web.Request) -> web.StreamResponse:
    """Answer with what arrived, line by line."""
    response = web.StreamResponse(status=203, headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    for line in (request.path_qs, request.headers.get("Range", "")):
        await response.write(f"{line}\n".encode())
    return response


def socket_of(machine_id: str) -> socket.socket | None:
    """Open a socket as the cloud does, in the namespace of this process."""
    return open_socket("/proc/self/ns/net", socket.AF_INET, socket.SOCK_STREAM) if machine_id == "fhm1" else None


async def test_a_request_reaches_the_port_with_its_query_and_range_and_its_answer_comes_back() -> None:
    inner, outer = web.Application(), web.Application()
    inner.add_routes([web.get("/{path:.*}", echo)])
    outer.add_routes([port_route(socket_of)])
    async with TestServer(inner) as machine, TestServer(outer) as cloud, ClientSession() as client:
        path = f"/localcloud/machines/fhm1/ports/{machine.port}/api/v1/query?query=up%7Ba%3D%22b%2Fc%22%7D"
        url = URL(f"http://127.0.0.1:{cloud.port}{path}", encoded=True)
        async with client.get(url, headers={"Range": "entries=1"}) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (203, "text/plain")
            assert await answer.text() == "/api/v1/query?query=up%7Ba%3D%22b%2Fc%22%7D\nentries=1\n"


async def test_a_port_at_which_nothing_listens_is_an_error_that_names_it(unused_tcp_port: int) -> None:
    outer = web.Application()
    outer.add_routes([port_route(socket_of)])
    path = f"/localcloud/machines/fhm1/ports/{unused_tcp_port}/"
    async with TestServer(outer) as cloud, ClientSession() as client, client.get(cloud.make_url(path)) as answer:
        assert (answer.status, "127.0.0.1" in await answer.text()) == (502, True)


def test_a_machine_that_does_not_run_is_named(cloud: RunningCloud) -> None:
    host = Host(Rest(cloud.endpoint.rest, ca=Path(cloud.endpoint.ca), token=cloud.endpoint.token))
    with pytest.raises(CloudError, match="fhm1"):
        list(host.lines_of("fhm1", 9090, "/", {}))
