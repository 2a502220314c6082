"""Reports the state of the agent to systemd (sd_notify), to the journal and to the console, without secrets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping

from .clients import Secret

CONFIGURED, UNCHANGED, BARE = "configured", "nothing to change", "no samovar-role in the metadata"
"""How the agent says that all is well: with the role, whether it changed anything, or that there is no role."""
KEPT = "the machine serves with what it has"
STARTED = f"started again: {KEPT}"
ANSWERS, EDITED = "answers again", "edited by others, and written anew"
WAITS, LAST_ANSWER, UNUSABLE = "waiting for", "using the last answer", "cannot configure this machine"
"""How it says what is wrong. It repeats what it waits for; a configuration that cannot be used, at each start."""
MIN_SECRET_LENGTH = 4
"""Characters; a shorter text would be found by chance."""


def status(message: str) -> None:
    """Report a status. The unit file sends our output to journal and console."""
    print(f"samovar: {message}", flush=True)  # noqa: T201 - the one place that prints
    _notify(f"STATUS={message}")


def ready(message: str) -> None:
    """Report that the machine is configured: units that are ordered after the agent may start."""
    status(message)
    _notify("READY=1")


def redact(text: str, secrets: Mapping[str, Secret]) -> str:
    """Return `text` with *** for each line of any secret: a check that fails may quote one."""
    for line in sorted(_lines(secrets), key=len, reverse=True):
        text = text.replace(line, "***")
    return text


def _lines(secrets: Mapping[str, Secret]) -> Iterator[str]:
    for secret in secrets.values():
        for entry in [secret] if isinstance(secret, str) else secret.values():
            yield from (line for line in map(str.strip, entry.splitlines()) if len(line) >= MIN_SECRET_LENGTH)


def _notify(state: str) -> None:
    """Send one datagram, as sd_notify(3) does; a leading @ stands for the abstract namespace."""
    if address := os.environ.get("NOTIFY_SOCKET", ""):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
