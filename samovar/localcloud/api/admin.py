"""The admin API, which Yandex Cloud does not have: status, power cuts, crashes of units, and the end of the daemon."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Protocol

from aiohttp import web

from samovar.core.json_types import JsonObject
from samovar.localcloud.api.errors import not_found
from samovar.localcloud.api.transcoding import refusal

MACHINE = "/localcloud/machines/{id:[a-z0-9]+}"
UNIT = MACHINE + "/units/{unit:[a-zA-Z0-9@_-]+[.]service}"


class AdministeredCloud(Protocol):
    """The cloud as the admin API uses it."""

    async def addresses(self) -> frozenset[IPv4Address] | None:
        """Returns the public addresses that the host routes here; None where nothing is routed."""

    async def cut_power(self, machine_id: str) -> bool:
        """Returns False where no such machine runs."""

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:
        """Returns the pids of a systemd unit of that machine; none where it does not run."""

    def kill_processes(self, machine_id: str, unit: str) -> bool:
        """Returns False where there are none."""


def admin_routes(
    cloud: AdministeredCloud, report: Callable[[], JsonObject], shut_down: Callable[[], None]
) -> list[web.RouteDef]:
    """Returns the routes; `report` returns the status of the cloud and of its daemon, as plain values."""

    async def status(_: web.Request) -> web.Response:
        return web.json_response(report())

    async def addresses(_: web.Request) -> web.Response:
        routed = await cloud.addresses()
        return web.json_response({"addresses": None if routed is None else sorted(map(str, routed))})

    async def kill(request: web.Request) -> web.Response:
        machine_id = request.match_info["id"]
        if not await cloud.cut_power(machine_id):
            return refusal(not_found("Running machine", machine_id))
        return web.json_response({"id": machine_id})

    async def processes(request: web.Request) -> web.Response:
        return web.json_response({"pids": cloud.processes(request.match_info["id"], request.match_info["unit"])})

    async def crash(request: web.Request) -> web.Response:
        machine_id, unit = request.match_info["id"], request.match_info["unit"]
        if not cloud.kill_processes(machine_id, unit):
            return refusal(not_found("Running unit", f"{unit} of {machine_id}"))
        return web.json_response({"id": machine_id, "unit": unit})

    async def shutdown(_: web.Request) -> web.Response:
        shut_down()
        return web.json_response({}, status=202)

    return [
        web.get("/localcloud/status", status),
        web.get("/localcloud/addresses", addresses),
        web.post(f"{MACHINE}:kill", kill),
        web.get(UNIT, processes),
        web.post(f"{UNIT}:kill", crash),
        web.post("/localcloud/shutdown", shutdown),
    ]
