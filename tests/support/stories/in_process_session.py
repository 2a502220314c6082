"""A session of the tool whose calls cross no wire: the tool's own code, on a cloud in the same thread."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import Message
from pydantic import TypeAdapter

from samovar.cloud import local_admin
from samovar.cloud.calls import CallInterceptor
from samovar.cloud.connection import Access
from samovar.cloud.session import LOCAL, MACHINES_API, Session
from samovar.core.api_methods import is_read
from samovar.core.errors import CloudError
from samovar.core.json_types import JsonObject
from samovar.localcloud.api.errors import Refused
from samovar.localcloud.api.grpc_server import CODES
from samovar.localcloud.fault_injection.fault_routes import checked
from samovar.localcloud.machines.machine_faults import MachineFault

if TYPE_CHECKING:
    from samovar.localcloud.cloud import Cloud
    from tests.support.stories.world import World

FAULT = TypeAdapter(MachineFault)
ANSWERED_AFTER = 0.01
"""Simulated seconds that a call takes which changes something: time passes also for who never sleeps."""


class Killed(BaseException):
    """The tool's process was killed: it does nothing more, not even what a `finally` says."""


@dataclass
class Life:
    """The life of one process of the tool: it dies at its call number `ends_at` that changes something.

    With `answered`, that call is carried out, and its answer is lost.
    """

    ends_at: int | None = None
    answered: bool = False
    calls: int = 0
    ended: bool = False

    def before(self, method: str) -> None:
        if not self.ended and not is_read(method):
            self.calls += 1
            self.ended = self.calls == self.ends_at and not self.answered
        self._check()

    def after(self, method: str) -> None:
        if not is_read(method) and self.calls == self.ends_at:
            self.ended = True
        self._check()

    def _check(self) -> None:
        if self.ended:
            raise Killed


class InProcessSession(Session):
    """A session with the cloud of a world, of a process with that life."""

    def __init__(self, world: World, life: Life | None = None) -> None:
        self.access = Access(endpoint="simulated", folder_id=world.folder_id, token=world.token, local=True)
        self.timeouts = LOCAL
        self.folder_id = self.images_folder_id = world.folder_id
        self._interceptor = CallInterceptor(self.timeouts.unreached)
        self._channel = _Channel(world, life or Life(), self._interceptor)
        self._clients: dict[type, object] = {}
        self._lock = threading.Lock()
        self._awaited: dict[str, str] = {}
        self._clock: float | None = None
        self._world = world

    def _make_client(self, stub: type[Any]) -> Any:
        return stub(self._channel)

    def serves(self, service: str) -> bool:  # noqa: ARG002 - the cloud serves what the tool asks for
        return True

    @cached_property
    def host(self) -> local_admin.Host:
        return InProcessHost(self._world)

    @cached_property
    def machines_api(self) -> tuple[str, str]:
        return MACHINES_API, "-----BEGIN CERTIFICATE-----\n"


class InProcessHost(local_admin.Host):
    """The admin API of a world, as far as drills use it. Raises CloudError while no daemon runs."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def _cloud(self) -> Cloud:
        if not self._world.runs:
            raise CloudError("nothing listens there")
        return self._world.cloud

    def status(self, *, timeout: float = 0.0) -> local_admin.CloudStatus:  # noqa: ARG002 - the contract's
        served = {"home": str(self._world.home.root), **asdict(self._cloud.status())}
        status: local_admin.CloudStatus = json.loads(json.dumps(served))
        return status

    def addresses(self) -> None:
        """Return None: nothing is routed to a simulated machine."""

    def kill(self, name: str) -> local_admin.HostMachine:
        machine = local_admin.pick(self.machines(), name)
        self._world.time.run(self._cloud.cut_power(machine.id))
        return machine

    def cause(self, machine_id: str, fault: JsonObject) -> None:
        if machine_id not in {machine.id for machine in self.machines() if machine.running}:
            raise CloudError(f"{machine_id} does not run")
        self._world.time.run(self._world.driver.cause(machine_id, FAULT.validate_python(fault)))

    def end(self, machine_id: str, fault: JsonObject) -> None:
        if machine_id in {machine.id for machine in self.machines() if machine.running}:
            self._world.time.run(self._world.driver.end(machine_id, FAULT.validate_python(fault)))

    def add_fault(self, **fault: str | float | None) -> local_admin.Fault:
        requested = checked(json.dumps({"id": "", **fault}).encode(), self._cloud.api.methods.values())
        return local_admin.Fault(**asdict(self._cloud.faults.add(requested)))

    def faults(self) -> tuple[local_admin.Fault, ...]:
        return tuple(local_admin.Fault(**asdict(each)) for each in self._cloud.faults.all())

    def clear_faults(self, fault_id: str = "") -> tuple[local_admin.Fault, ...]:
        return tuple(local_admin.Fault(**asdict(each)) for each in self._cloud.faults.clear(fault_id))


class _Channel:
    """A channel as generated stubs use it."""

    def __init__(self, world: World, life: Life, interceptor: CallInterceptor) -> None:
        self._world = world
        self._life = life
        self._interceptor = interceptor

    def unary_unary(self, path: str, *_: object, **__: object) -> _Method:
        return _Method(path, self._interceptor, self._answer)

    def _answer(self, details: Any, request: Message) -> Any:
        """Return the outcome of one attempt, as gRPC's interceptors get it."""
        self._life.before(details.method)
        self._world.time.sleep(0.0 if is_read(details.method) else ANSWERED_AFTER)
        headers = dict(details.metadata or ())
        outcome: Any
        try:
            outcome = _Answer(self._world.serve(details.method, request, headers.get("idempotency-key", "")))
        except Refused as refused:
            outcome = _Refusal(refused)
        self._life.after(details.method)
        return outcome


@dataclass(frozen=True)
class _Details:
    method: str
    timeout: float | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    credentials: None = None
    wait_for_ready: None = None
    compression: None = None


class _Method:
    """One method of a stub, by way of the session's interceptor."""

    def __init__(self, path: str, interceptor: CallInterceptor, answer: Callable[[Any, Message], Any]) -> None:
        self._path = path
        self._interceptor = interceptor
        self._answer = answer

    def __call__(self, request: Message, timeout: float | None = None) -> Any:
        return self.with_call(request, timeout)[0]

    def with_call(self, request: Message, timeout: float | None = None) -> tuple[Any, Any]:
        details: Any = _Details(self._path, timeout)
        outcome: Any = self._interceptor.intercept_unary_unary(self._answer, details, request)
        return outcome.result(), outcome


@dataclass(frozen=True)
class _Answer:
    response: Message

    def result(self) -> Message:
        return self.response

    def initial_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()


class _Refusal(grpc.RpcError):
    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self._refused = refused

    def code(self) -> grpc.StatusCode:
        return CODES[self._refused.code]

    def details(self) -> str:
        return self._refused.message
