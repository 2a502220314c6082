"""The admin API of the local cloud: it lists what runs on the host, cuts power, crashes services and takes images.

A session has these capabilities, or None in their place; no code above asks which cloud it is.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

from samovar.cloud.local_rest import TIMEOUT, NotThere, Rest
from samovar.core import http
from samovar.core.errors import CloudError, ConfigError, command_line
from samovar.core.json_types import JsonObject

FAULTS = "/localcloud/faults"
UPLOAD_TIMEOUT = 300.0


class MachineStatus(TypedDict):
    """A machine as the daemon shows it; `pid` is that of its init while it runs."""

    id: str
    name: str
    hostname: str
    status: str
    running: bool
    pid: int | None


class NetworkStatus(TypedDict):
    """A network that the host holds now, with the ranges of its subnets."""

    id: str
    subnets: Sequence[str]


class EndpointStatus(TypedDict):
    """The addresses of the API, `host:port` each."""

    grpc: str
    rest: str


class ProfileStatus(TypedDict):
    """The profile that calls meet."""

    name: str
    pace: float
    seed: int


class CloudStatus(TypedDict):
    """The status of the daemon."""

    pid: int
    number: int
    home: str
    endpoint: EndpointStatus
    simulated: bool
    profile: ProfileStatus | None
    warnings: Sequence[str]
    machines: Sequence[MachineStatus]
    networks: Sequence[NetworkStatus]


class Event(TypedDict):
    """A call of the API and its outcome; `time` is in seconds since 1970, `code` that of gRPC."""

    time: float
    method: str
    subject: str
    code: str
    request_id: str
    client_request_id: str
    idempotency_key: str
    message: str


@dataclass(frozen=True)
class Fault:
    """A fault on request. `delay` is in seconds; `times` None is for ever; `added` is in seconds since 1970.

    `effect` is `call`, `operation`, `answer`, or `start` of machines.
    """

    id: str
    method: str
    effect: str
    code: str
    message: str
    delay: float
    times: int | None
    share: float
    zone: str
    added: float
    struck: int


@dataclass(frozen=True)
class HostMachine:
    """A machine on the host. `pid` is that of its init while it runs."""

    id: str
    name: str
    hostname: str
    pid: int | None
    running: bool


class Host:
    """The host of the local cloud, for people, tests and drills."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def status(self, *, timeout: float = TIMEOUT) -> CloudStatus:
        """Return the daemon's status."""
        status: CloudStatus = self._rest.json("GET", "/localcloud/status", timeout=timeout)
        return status

    def machines(self) -> tuple[HostMachine, ...]:
        return machines_of(self.status())

    def addresses(self) -> frozenset[str] | None:
        """Return the public addresses that this host routes to the cloud's networks; None where it has no networks."""
        addresses = self._rest.json("GET", "/localcloud/addresses")["addresses"]
        return None if addresses is None else frozenset(addresses)

    def kill(self, name: str) -> HostMachine:
        """Cut the power of the machine of that id, name, or hostname; return what it was."""
        machine = pick(self.machines(), name)
        self._rest.json("POST", f"/localcloud/machines/{machine.id}:kill")
        return machine

    def set_load(self, group: str, percent: int) -> None:
        """Give a group of simulated machines a load in per cent of one machine. ConfigError where there is none."""
        try:
            self._rest.json("POST", f"/localcloud/groups/{quote(group, safe='')}/load/{percent}")
        except NotThere as error:
            remedy = "name one as the cloud does, with its environment before it: dev-nginx"
            raise ConfigError(f"there is no group of simulated machines {group}", remedy=remedy) from error

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:
        """Return the pids of a systemd unit (nginx.service) inside a machine; none where it does not run."""
        return tuple(self._rest.json("GET", f"/localcloud/machines/{machine_id}/units/{unit}")["pids"])

    def crash(self, machine_id: str, unit: str) -> None:
        """SIGKILL to the processes of a systemd unit inside a machine. CloudError where it does not run."""
        self._rest.json("POST", f"/localcloud/machines/{machine_id}/units/{unit}:kill")

    def cause(self, machine_id: str, fault: JsonObject) -> None:
        """Cause a fault in a machine, such as `{"fault": "hang", "unit": "nginx.service"}`.

        Raises CloudError with the reason if that is not possible on this host, or the machine does not run.
        """
        self._post_fault(machine_id, "cause", fault)

    def end(self, machine_id: str, fault: JsonObject) -> None:
        """End a fault that was caused; nothing is left to end in a machine that does not run any more."""
        if any(machine.running for machine in self.machines() if machine.id == machine_id):
            self._post_fault(machine_id, "end", fault)

    def _post_fault(self, machine_id: str, verb: str, fault: JsonObject) -> None:
        path = f"/localcloud/machines/{machine_id}/faults:{verb}"
        response = self._rest.call("POST", path, io.BytesIO(json.dumps(fault).encode()))
        if not response.ok:
            raise CloudError(json.loads(response.text)["message"])

    def lines_of(
        self, machine_id: str, port: int, path: str, headers: Mapping[str, str], *, timeout: float | None = None
    ) -> Iterator[str]:
        """GET a path at a port of a machine's loopback, and yield the lines of the answer as they come.

        `timeout` (seconds) may bound a pause. Raises CloudError, RequestRefused where the server calls the path wrong.
        """
        yield from self._rest.lines(
            f"/localcloud/machines/{machine_id}/ports/{port}{path}", timeout=timeout, headers=headers
        )

    def events(self, *, last: int, follow: bool) -> Iterator[Event]:
        """Yield the calls of the API: the last ones that changed something, then each call as it comes."""
        path = f"/localcloud/events?last={last}&follow={'true' if follow else 'false'}"
        for line in self._rest.lines(path, timeout=TIMEOUT):
            if line:
                yield json.loads(line)

    def add_fault(self, **fault: str | float | None) -> Fault:
        """Add a fault on request; the fields are those of `Fault`. ConfigError where the daemon takes it for none."""
        response = self._rest.call("POST", FAULTS, io.BytesIO(json.dumps({"id": "", **fault}).encode()))
        if not response.ok:
            message = json.loads(response.text)["message"]
            raise ConfigError(message, remedy="`cloud events --follow --reads` shows methods as a pattern has them")
        (added,) = json.loads(response.text)["faults"]
        return Fault(**added)

    def faults(self) -> tuple[Fault, ...]:
        return tuple(Fault(**fault) for fault in self._rest.json("GET", FAULTS)["faults"])

    def clear_faults(self, fault_id: str = "") -> tuple[Fault, ...]:
        """Remove one fault, or all of them; return what was removed. ConfigError where there is none of that id."""
        path = f"{FAULTS}/{quote(fault_id, safe='')}" if fault_id else FAULTS
        try:
            removed = self._rest.json("DELETE", path)["faults"]
        except NotThere as error:
            remedy = f"`{command_line('cloud fault list')}` lists them"
            raise ConfigError(f"there is no fault {fault_id}", remedy=remedy) from error
        return tuple(Fault(**fault) for fault in removed)

    def shutdown(self, *, timeout: float = TIMEOUT) -> None:
        """The daemon takes everything off the host and ends; this returns before it has."""
        self._rest.json("POST", "/localcloud/shutdown", timeout=timeout)


def machines_of(status: CloudStatus) -> tuple[HostMachine, ...]:
    """Return the machines of a status."""
    return tuple(
        HostMachine(machine["id"], machine["name"], machine["hostname"], machine["pid"], machine["running"])
        for machine in status["machines"]
    )


def pick(machines: tuple[HostMachine, ...], name: str) -> HostMachine:
    """Return the one running machine of an id, a name, or a hostname. ConfigError names those that run."""
    running = [machine for machine in machines if machine.running]
    for key in ("id", "name", "hostname"):
        matching = [machine for machine in running if getattr(machine, key) == name]
        if len(matching) == 1:
            return matching[0]
        if matching:
            names = ", ".join(machine.name for machine in matching)
            raise ConfigError(f"{name} means more than one machine", remedy=f"name one of {names}")
    names = ", ".join(sorted(machine.name for machine in running)) or "none"
    raise ConfigError(f"no machine {name} runs", remedy=f"running machines: {names}")


class ImageStorage:
    """The storage for RAW files, by digest, from which `ImageService.Create` takes them by `uri`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def put(self, digest: str, file: Path) -> str:
        """Upload `file` unless it is there; return its uri. `digest` is the file's sha256 in hex."""
        path = f"/storage/images/{digest}.raw"
        if self._rest.call("HEAD", path).status != http.OK:
            with file.open("rb") as content:
                response = self._rest.call("PUT", path, content, timeout=UPLOAD_TIMEOUT)
            if response.status not in (http.OK, http.CREATED, http.NO_CONTENT):
                raise CloudError(f"PUT {path}: {response.status}: {response.text[:500]}")
        return f"https://{self._rest.address}{path}"
