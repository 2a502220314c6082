"""The local cloud's own hand, which Yandex Cloud does not have: what runs, a power cut, the end of it all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from localcloud.api.refusal import not_found
from localcloud.api.rest_form import refusal

Report = Callable[[], dict[str, Any]]
Cut = Callable[[str], Awaitable[bool]]


def hand_routes(report: Report, cut_power: Cut, shut_down: Callable[[], None]) -> list[web.RouteDef]:
    """`cut_power` answers False where there is no such machine."""

    async def status(_: web.Request) -> web.Response:
        return web.json_response(report())

    async def kill(request: web.Request) -> web.Response:
        machine_id = request.match_info["id"]
        if not await cut_power(machine_id):
            return refusal(not_found("Running machine", machine_id))
        return web.json_response({"id": machine_id})

    async def shutdown(_: web.Request) -> web.Response:
        shut_down()
        return web.json_response({}, status=202)

    return [
        web.get("/localcloud/status", status),
        web.post("/localcloud/machines/{id:[a-z0-9]+}:kill", kill),
        web.post("/localcloud/shutdown", shutdown),
    ]
