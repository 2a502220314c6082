"""How the agent is heard: by systemd (READY and STATUS), and in the journal and on the console by its output."""

from __future__ import annotations

import os
import socket


def say(message: str) -> None:
    """To all three; the unit file sends our output to journal and console."""
    print(f"samovar: {message}", flush=True)  # noqa: T201 - the one place that prints
    _notify(f"STATUS={message}")


def ready(message: str) -> None:
    """The machine is configured: units that are ordered after us may start."""
    say(message)
    _notify("READY=1")


def _notify(state: str) -> None:
    """One datagram, as sd_notify(3) sends it; a leading @ stands for the abstract namespace."""
    if address := os.environ.get("NOTIFY_SOCKET", ""):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
