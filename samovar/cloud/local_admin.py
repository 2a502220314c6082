"""What only the local cloud can do: show what runs on the host, cut power, crash a service, take images, end itself.

A session has these capabilities or has None in their place; nobody asks which cloud it is.
"""

from __future__ import annotations

import http
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samovar.cloud.local_rest import TIMEOUT, Rest
from samovar.core.errors import CloudError, ConfigError

UPLOAD_TIMEOUT = 300.0


@dataclass(frozen=True)
class HostMachine:
    """A machine as the host sees it: its init's pid while it runs."""

    id: str
    name: str
    hostname: str
    pid: int | None
    running: bool


class Host:
    """The local cloud's own hand, for people, tests and drills."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def status(self, *, timeout: float = TIMEOUT) -> dict[str, Any]:
        """What the daemon says of itself: pid, number, endpoint, machines, networks, and whether it is `simulated`."""
        status: dict[str, Any] = self._rest.json("GET", "/localcloud/status", timeout=timeout)
        return status

    def machines(self) -> tuple[HostMachine, ...]:
        return machines_of(self.status())

    def addresses(self) -> frozenset[str] | None:
        """The public addresses that this host sends to the cloud's networks; None where it has no networks."""
        found = self._rest.json("GET", "/localcloud/addresses")["addresses"]
        return None if found is None else frozenset(found)

    def kill(self, wanted: str) -> HostMachine:
        """Cuts the power of the machine of that id, name, or hostname; returns what it was."""
        machine = pick(self.machines(), wanted)
        self._rest.json("POST", f"/localcloud/machines/{machine.id}:kill")
        return machine

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:
        """The pids of a systemd unit (nginx.service) inside a machine; none where it does not run."""
        return tuple(self._rest.json("GET", f"/localcloud/machines/{machine_id}/units/{unit}")["pids"])

    def crash(self, machine_id: str, unit: str) -> None:
        """SIGKILL to the processes of a systemd unit inside a machine. CloudError where it does not run."""
        self._rest.json("POST", f"/localcloud/machines/{machine_id}/units/{unit}:kill")

    def shutdown(self, *, timeout: float = TIMEOUT) -> None:
        """The daemon takes everything off the host and ends; this returns before it has."""
        self._rest.json("POST", "/localcloud/shutdown", timeout=timeout)


def machines_of(status: Mapping[str, Any]) -> tuple[HostMachine, ...]:
    """Those of a status."""
    return tuple(
        HostMachine(found["id"], found["name"], found["hostname"], found["pid"], found["running"])
        for found in status["machines"]
    )


def pick(machines: tuple[HostMachine, ...], wanted: str) -> HostMachine:
    """The one running machine that is meant by an id, a name, or a hostname; ConfigError names those that run."""
    running = [machine for machine in machines if machine.running]
    for key in ("id", "name", "hostname"):
        found = [machine for machine in running if getattr(machine, key) == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(machine.name for machine in found)
            raise ConfigError(f"{wanted} means more than one machine", remedy=f"name one of {names}")
    names = ", ".join(sorted(machine.name for machine in running)) or "none"
    raise ConfigError(f"no machine {wanted} runs", remedy=f"running machines: {names}")


class ImageStorage:
    """Where RAW files are put, by digest, before `ImageService.Create` takes them from there by `uri`."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def put(self, digest: str, file: Path) -> str:
        """Uploads `file` unless it is there; returns its uri. `digest` is the file's sha256 in hex."""
        path = f"/storage/images/{digest}.raw"
        status, _ = self._rest.call("HEAD", path)
        if status != http.HTTPStatus.OK:
            with file.open("rb") as content:
                status, answer = self._rest.call("PUT", path, content, timeout=UPLOAD_TIMEOUT)
            if status not in (http.HTTPStatus.OK, http.HTTPStatus.CREATED, http.HTTPStatus.NO_CONTENT):
                raise CloudError(f"PUT {path}: {status}: {answer.decode(errors='replace')[:500]}")
        return f"https://{self._rest.address}{path}"
