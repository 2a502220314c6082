"""The admin API, which Yandex Cloud lacks: status, calls, power cuts, processes and ports of machines, shutdown."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from dataclasses import asdict
from ipaddress import IPv4Address
from typing import Protocol

import aiohttp
from aiohttp import web
from yarl import URL

from samovar.core.json_types import JsonObject
from samovar.localcloud import clock
from samovar.localcloud.api.audit_log import AuditLog, Event
from samovar.localcloud.api.errors import not_found
from samovar.localcloud.api.transcoding import refusal

MACHINE = "/localcloud/machines/{id:[a-z0-9]+}"
HEARTBEAT = 15.0
"""Seconds between two signs of life to who follows the events."""
UNIT = MACHINE + "/units/{unit:[a-zA-Z0-9@_-]+[.]service}"
MACHINE_PORT = "/localcloud/machines/{id:[a-z0-9]+}/ports/{port:[0-9]{1,5}}/{path:.*}"
REQUEST_HEADERS, ANSWER_HEADERS = ("Accept", "Range"), ("Content-Type",)
"""The headers that are passed on."""
BAD_GATEWAY = 502
SocketOf = Callable[[str], socket.socket | None]
"""Opens a TCP socket inside a machine, by the machine's id; None where no such machine runs."""


class AdministeredCloud(Protocol):
    """The cloud as the admin API uses it."""

    audit_log: AuditLog

    async def addresses(self) -> frozenset[IPv4Address] | None:
        """Return the public addresses that the host routes here; None where nothing is routed."""

    async def cut_power(self, machine_id: str) -> bool:
        """Return False where no such machine runs."""

    def set_load(self, group: str, percent: float) -> bool:
        """Give a group of simulated machines, by id or name, its load; return False where there is none."""

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:
        """Return the pids of a systemd unit of that machine; none where it does not run."""

    def kill_processes(self, machine_id: str, unit: str) -> bool:
        """Return False where there are none."""

    def socket_inside(self, machine_id: str) -> socket.socket | None:
        """Return a TCP socket in the machine's network; None where no such machine runs, or it is simulated."""


def admin_routes(
    cloud: AdministeredCloud, report: Callable[[], JsonObject], shut_down: Callable[[], None]
) -> list[web.RouteDef]:
    """Return the routes; `report` returns the status of the cloud and of its daemon, as plain values."""
    handlers = _Handlers(cloud)

    async def status(_: web.Request) -> web.Response:
        return web.json_response(report())

    async def shutdown(_: web.Request) -> web.Response:
        shut_down()
        return web.json_response({}, status=202)

    return [
        web.get("/localcloud/status", status),
        web.get("/localcloud/addresses", handlers.addresses),
        web.get("/localcloud/events", handlers.events),
        web.post(f"{MACHINE}:kill", handlers.kill),
        web.get(UNIT, handlers.processes),
        web.post(f"{UNIT}:kill", handlers.crash),
        web.post("/localcloud/groups/{group}/load/{percent:[0-9]+}", handlers.load),
        port_route(cloud.socket_inside),
        web.post("/localcloud/shutdown", shutdown),
    ]


class _Handlers:
    """Handlers of requests: each asks the cloud, and refuses what is not there."""

    def __init__(self, cloud: AdministeredCloud) -> None:
        self._cloud = cloud

    async def addresses(self, _: web.Request) -> web.Response:
        routed = await self._cloud.addresses()
        return web.json_response({"addresses": None if routed is None else sorted(map(str, routed))})

    async def events(self, request: web.Request) -> web.StreamResponse:
        last, follow = int(request.query.get("last", "0")), request.query.get("follow") == "true"
        return await _stream(request, self._cloud.audit_log, last, follow=follow)

    async def kill(self, request: web.Request) -> web.Response:
        machine_id = request.match_info["id"]
        if not await self._cloud.cut_power(machine_id):
            return refusal(not_found("Running machine", machine_id))
        return web.json_response({"id": machine_id})

    async def processes(self, request: web.Request) -> web.Response:
        return web.json_response({"pids": self._cloud.processes(request.match_info["id"], request.match_info["unit"])})

    async def crash(self, request: web.Request) -> web.Response:
        machine_id, unit = request.match_info["id"], request.match_info["unit"]
        if not self._cloud.kill_processes(machine_id, unit):
            return refusal(not_found("Running unit", f"{unit} of {machine_id}"))
        return web.json_response({"id": machine_id, "unit": unit})

    async def load(self, request: web.Request) -> web.Response:
        group, percent = request.match_info["group"], float(request.match_info["percent"])
        if not self._cloud.set_load(group, percent):
            return refusal(not_found("Group of simulated machines", group))
        return web.json_response({"group": group, "percent": percent})


async def _stream(request: web.Request, audit_log: AuditLog, last: int, *, follow: bool) -> web.StreamResponse:
    """Write one JSON object a line: the last events of the file and, for a follower, each new one."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    with audit_log.following() as queue:
        await response.prepare(request)
        for event in audit_log.last(last):
            await response.write(_line(event))
        while follow and (new := await _next(queue, response)):
            await response.write(_line(new))
    await response.write_eof()
    return response


async def _next(queue: asyncio.Queue[Event | None], response: web.StreamResponse) -> Event | None:
    """Return the next event. It writes an empty line now and then, which fails once nobody reads any more."""
    while True:
        try:
            async with asyncio.timeout(clock.of_host(HEARTBEAT)):
                return await queue.get()
        except TimeoutError:
            await response.write(b"\n")


def _line(event: Event) -> bytes:
    return json.dumps(asdict(event)).encode() + b"\n"


def port_route(socket_of: SocketOf) -> web.RouteDef:
    """Return the route of the ports of machines; `socket_of` opens a socket inside of one."""

    async def forward(request: web.Request) -> web.StreamResponse:
        opened = socket_of(request.match_info["id"])
        if opened is None:
            return refusal(not_found("Running machine", request.match_info["id"]))
        with opened:
            return await _forward(request, opened)

    return web.get(MACHINE_PORT, forward)


async def _forward(request: web.Request, opened: socket.socket) -> web.StreamResponse:
    """Pass the request on by that socket, and what is answered as it comes."""
    connector = aiohttp.TCPConnector(socket_factory=lambda _: opened)
    url = URL(f"http://127.0.0.1:{request.match_info['port']}/{request.path_qs.split('/', 6)[6]}", encoded=True)
    headers = {"Accept-Encoding": "identity"} | {
        name: request.headers[name] for name in REQUEST_HEADERS if name in request.headers
    }
    timeout = aiohttp.ClientTimeout(total=None, connect=5)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session,
            session.get(url, headers=headers) as answer,
        ):
            return await _answer(request, answer)
    except aiohttp.ClientConnectionError as error:
        return web.json_response({"message": f"{url}: {error}"}, status=BAD_GATEWAY)


async def _answer(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = {name: answer.headers[name] for name in ANSWER_HEADERS if name in answer.headers}
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    async for part in answer.content.iter_any():
        await response.write(part)
    await response.write_eof()
    return response
