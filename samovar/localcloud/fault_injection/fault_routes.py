"""The part of the admin API that adds, lists and clears faults of calls, and causes and ends faults in machines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web
from google.protobuf.descriptor import MethodDescriptor
from google.rpc.code_pb2 import Code
from pydantic import TypeAdapter, ValidationError

from samovar.core.errors import SamovarError
from samovar.localcloud.api.errors import Refused, invalid, not_found, precondition
from samovar.localcloud.api.transcoding import refusal
from samovar.localcloud.fault_injection.faults import Effect, Fault, applies
from samovar.localcloud.fault_injection.requested_faults import PLAIN, RequestedFaults
from samovar.localcloud.machines.machine_faults import MachineFault
from samovar.localcloud.machines.model import MachineDriver

FAULTS = "/localcloud/faults"
MACHINE_FAULTS = "/localcloud/machines/{id:[a-z0-9]+}/faults"
MACHINE_FAULT = TypeAdapter(MachineFault)


def fault_routes(faults: RequestedFaults, methods: Iterable[MethodDescriptor]) -> list[web.RouteDef]:
    """Return the routes; `methods` are those that the cloud serves."""
    served = tuple(methods)

    async def add(request: web.Request) -> web.Response:
        try:
            fault = checked(await request.read(), served)
        except Refused as refused:
            return refusal(refused)
        return _answer([faults.add(fault)], status=201)

    async def list_all(_: web.Request) -> web.Response:
        return _answer(faults.all())

    async def clear(request: web.Request) -> web.Response:
        fault_id = request.match_info.get("id", "")
        removed = faults.clear(fault_id)
        return _answer(removed) if removed or not fault_id else refusal(not_found("Fault", fault_id))

    return [
        web.post(FAULTS, add),
        web.get(FAULTS, list_all),
        web.delete(FAULTS, clear),
        web.delete(FAULTS + "/{id}", clear),
    ]


def checked(body: bytes, served: Iterable[MethodDescriptor]) -> Fault:
    """Return the fault of a request. Raises Refused where it is none, or could never strike."""
    try:
        fault = PLAIN.validate_json(body)
    except ValidationError as error:
        raise invalid(f"this is no fault: {error.errors()[0]['msg']}") from error
    if fault.code and fault.code not in Code.keys():  # noqa: SIM118 - an enum of protobuf is no mapping
        raise invalid(f"{fault.code} is no code of gRPC", "code")
    if fault.effect is not Effect.START and not any(applies(fault, method) for method in served):
        operations = " that starts an operation" if fault.effect is Effect.OPERATION else ""
        raise invalid(f"no method{operations} is like {fault.method}", "method")
    return fault


def _answer(faults: list[Fault], status: int = 200) -> web.Response:
    return web.json_response({"faults": [PLAIN.dump_python(fault, mode="json") for fault in faults]}, status=status)


def machine_fault_routes(driver: MachineDriver) -> list[web.RouteDef]:
    """Return the routes, which act on the machines of that driver."""

    async def cause(request: web.Request) -> web.Response:
        return await _apply(request, driver, driver.cause)

    async def end(request: web.Request) -> web.Response:
        return await _apply(request, driver, driver.end)

    return [web.post(f"{MACHINE_FAULTS}:cause", cause), web.post(f"{MACHINE_FAULTS}:end", end)]


async def _apply(
    request: web.Request, driver: MachineDriver, act: Callable[[str, MachineFault], Awaitable[None]]
) -> web.Response:
    machine_id = request.match_info["id"]
    machine = driver.observe().get(machine_id)
    if machine is None or not machine.running:
        return refusal(not_found("Running machine", machine_id))
    try:
        await act(machine_id, MACHINE_FAULT.validate_json(await request.read()))
    except ValidationError as error:
        return refusal(invalid(f"this is no fault of a machine: {error.errors()[0]['msg']}"))
    except SamovarError as error:
        return refusal(precondition(error.message))
    return web.json_response({"id": machine_id})
