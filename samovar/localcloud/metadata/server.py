"""Serves metadata in many networks: one runner each, on a socket that was made inside the network's namespace.

A machine may hold so many connections, all machines together so many: waiting for a change takes one.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from functools import partial

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from samovar.core.waiting import to_the_end
from samovar.localcloud.metadata.app import IssueToken, make_app
from samovar.localcloud.metadata.model import MachineMetadata
from samovar.localcloud.sockets.connections import Connections
from samovar.localcloud.sockets.listener import Listener

GRACE = 0.2
"""Seconds that clients which wait for a change are left when their network goes."""

KEEP_ALIVE = 75.0


class MetadataServer:
    """Serves the metadata of many networks; `find(network_id, client_address)` returns the machine that asks."""

    def __init__(self, find: Callable[[str, str], MachineMetadata | None], issue_token: IssueToken) -> None:
        self._find = find
        self._issue_token = issue_token
        self._connections = Connections()
        self._served: dict[str, tuple[Listener, web.AppRunner]] = {}
        self._log = _quiet_logger()

    async def serve(self, network_id: str, sock: socket.socket) -> None:
        """Answer on `sock`, which is bound and from now on ours; a socket served before for this network is closed."""
        await to_the_end(self._begin(network_id, sock))

    async def stop(self, network_id: str) -> None:
        """Close the network's socket and its connections; a network that is not served is no error."""
        if served := self._served.pop(network_id, None):
            listener, runner = served
            await listener.stop()
            await runner.cleanup()

    async def close(self) -> None:
        for network_id in tuple(self._served):
            await self.stop(network_id)

    async def _begin(self, network_id: str, sock: socket.socket) -> None:
        await self.stop(network_id)
        app = make_app(partial(self._find, network_id), self._issue_token)
        app.middlewares.append(self._connections.middleware)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=self._log,
            handler_cancellation=True,
            keepalive_timeout=KEEP_ALIVE,
            shutdown_timeout=GRACE,
        )
        await runner.setup()
        assert runner.server is not None  # noqa: S101 - it is set up
        listener = Listener(sock, runner.server, self._connections, network=network_id)
        self._served[network_id] = listener, runner
        listener.start()


def _quiet_logger() -> logging.Logger:
    """Return a logger without malformed requests: a guest may send any, and would fill the log with tracebacks."""
    logger = logging.getLogger(__name__)
    logger.addFilter(_not_malformed)
    return logger


def _not_malformed(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
