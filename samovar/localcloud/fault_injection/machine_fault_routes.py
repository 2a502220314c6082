"""The part of the admin API that causes and ends faults in machines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from samovar.core.errors import SamovarError
from samovar.localcloud.api.errors import invalid, not_found, precondition
from samovar.localcloud.api.transcoding import refusal
from samovar.localcloud.machines.machine_faults import MachineFault
from samovar.localcloud.machines.model import MachineDriver

FAULTS = "/localcloud/machines/{id:[a-z0-9]+}/faults"
PLAIN = TypeAdapter(MachineFault)


def machine_fault_routes(driver: MachineDriver) -> list[web.RouteDef]:
    """Returns the routes, which act on the machines of that driver."""

    async def cause(request: web.Request) -> web.Response:
        return await _apply(request, driver, driver.cause)

    async def end(request: web.Request) -> web.Response:
        return await _apply(request, driver, driver.end)

    return [web.post(f"{FAULTS}:cause", cause), web.post(f"{FAULTS}:end", end)]


async def _apply(
    request: web.Request, driver: MachineDriver, act: Callable[[str, MachineFault], Awaitable[None]]
) -> web.Response:
    machine_id = request.match_info["id"]
    machine = driver.observe().get(machine_id)
    if machine is None or not machine.running:
        return refusal(not_found("Running machine", machine_id))
    try:
        await act(machine_id, PLAIN.validate_json(await request.read()))
    except ValidationError as error:
        return refusal(invalid(f"this is no fault of a machine: {error.errors()[0]['msg']}"))
    except SamovarError as error:
        return refusal(precondition(error.message))
    return web.json_response({"id": machine_id})
