"""HTTP to a machine's loopback: by the cloud's port forwarding if it has that, else by ssh and curl on the machine."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from samovar.cloud.session import Session
from samovar.core.spawn import output_lines
from samovar.deploy.machines import find_machine
from samovar.ops.ssh import host_keys, jump_path, ssh_config
from samovar.project.environment import Environment

Query = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True)
class MachineHttp:
    """An HTTP server at a port of a machine's loopback. `identity` is a private key for ssh."""

    session: Session
    environment: Environment
    machine: str
    port: int
    identity: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self, path: str, query: Query) -> str:
        """Return the body of an answer. Raises CloudError."""
        return "\n".join(self.lines(path, query))

    def lines(self, path: str, query: Query) -> Iterator[str]:
        """Yield the lines of an answer as they come. Raises CloudError."""
        target = f"{path}?{urlencode(query)}"
        host = self.session.host
        if host is None:
            yield from self._lines_by_ssh(target)
            return
        instance = find_machine(self.session, self.environment.name, self.machine)
        yield from host.lines_of(instance.id, self.port, target, self.headers)

    def _lines_by_ssh(self, target: str) -> Iterator[str]:
        hops = jump_path(self.session, self.environment, self.machine)
        with tempfile.TemporaryDirectory(prefix="samovar-ssh-") as folder:
            keys, config = Path(folder, "known_hosts"), Path(folder, "config")
            keys.write_text(host_keys(hops))
            config.write_text(ssh_config(hops, str(keys), str(self.identity.absolute()) if self.identity else None))
            yield from output_lines(["ssh", "-F", str(config), hops[-1].name, self._curl(target)])

    def _curl(self, target: str) -> str:
        headers = [word for name, value in self.headers.items() for word in ("--header", f"{name}: {value}")]
        url = f"http://127.0.0.1:{self.port}{target}"
        return shlex.join(["curl", "--silent", "--show-error", "--fail-with-body", "--no-buffer", *headers, url])
