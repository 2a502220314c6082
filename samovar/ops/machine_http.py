"""HTTP to a machine's loopback: by the cloud's port forwarding if it has that, else by ssh and curl on the machine."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ProcessFailed, RequestRefused, command_line
from samovar.core.spawn import output_lines
from samovar.deploy.machines import find_machine
from samovar.ops.ssh import ssh_command
from samovar.project.environment import Environment

Query = Mapping[str, str] | Sequence[tuple[str, str]]
TIMEOUT = 30.0
"""Seconds in which an answer that is no stream must come."""
HTTP_ERROR = 22
"""The exit code of curl for an answer that is an error (curl(1))."""


@dataclass(frozen=True)
class MachineHttp:
    """An HTTP server at a port of a machine's loopback. `identity` is a private key for ssh.

    Errors call the server by its `service`.
    """

    session: Session
    environment: Environment
    machine: str
    port: int
    identity: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    service: str = "the server"

    def text(self, path: str, query: Query) -> str:
        """Return the body of an answer. Raises CloudError."""
        return "\n".join(self._lines(path, query, TIMEOUT))

    def lines(self, path: str, query: Query) -> Iterator[str]:
        """Yield the lines of an answer as they come. Raises CloudError."""
        return self._lines(path, query, None)

    def _lines(self, path: str, query: Query, timeout: float | None) -> Iterator[str]:
        target = f"{path}?{urlencode(query)}" if query else path
        host = self.session.host
        if host is None:
            yield from self._lines_by_ssh(self._curl(target, timeout))
            return
        instance = find_machine(self.session, self.environment.name, self.machine)
        with self._named_errors():
            yield from host.lines_of(instance.id, self.port, target, self.headers, timeout=timeout)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Turn an error of the way there into one that names the server."""
        where = f"{self.service} of {self.machine}"
        try:
            yield
        except RequestRefused as error:
            raise CloudError(f"{where}: {_reason(error.message)}") from error
        except (CloudError, ProcessFailed) as error:
            if isinstance(error, ProcessFailed) and error.returncode == HTTP_ERROR:
                raise CloudError(f"{where} answers with an error, which curl has told") from error
            raise CloudError(f"{where} does not answer at port {self.port}", remedy=self._remedy()) from error

    def _remedy(self) -> str:
        name = self.environment.name
        console = command_line(f"logs {name} {self.machine} --console")
        return (
            f"see `{command_line(f'status {name}')}` and `{console}`; a group with health checks replaces the machine"
        )

    def _lines_by_ssh(self, command: str) -> Iterator[str]:
        with (
            ssh_command(self.session, self.environment, self.machine, self.identity) as login,
            self._named_errors(),
        ):
            yield from output_lines([*login, command])

    def _curl(self, target: str, timeout: float | None) -> str:
        headers = [word for name, value in self.headers.items() for word in ("--header", f"{name}: {value}")]
        url = f"http://127.0.0.1:{self.port}{target}"
        bound = ["--max-time", f"{timeout:g}"] if timeout else []
        return shlex.join(
            ["curl", "--silent", "--show-error", "--fail-with-body", "--no-buffer", *bound, *headers, url]
        )


def _reason(answer: str) -> str:
    """Return what a server says that is wrong: the `error` of an answer in JSON, as Prometheus sends it."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(answer)["error"])
    return answer
