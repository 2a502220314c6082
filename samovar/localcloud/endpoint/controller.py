"""Serves the API's REST form inside every network: machines that have a way out ask it for tokens and secrets.

It serves the API alone: image storage and the admin API are the operator's, and any machine's token would open them.
"""

from __future__ import annotations

import socket
from typing import Protocol

from samovar.localcloud.network.names import API, API_PORT
from samovar.localcloud.vpc.networks.controller import NetworkController


class Site(Protocol):
    """A server at one socket."""

    async def stop(self) -> None: ...


class Server(Protocol):
    """A server that answers at as many sockets as it is given."""

    async def answer_at(self, sock: socket.socket, network: str) -> Site: ...

    async def close(self) -> None: ...


class InternalApi:
    """The internal API has one socket a network, in that network's own namespace."""

    def __init__(self, networks: NetworkController) -> None:
        self._networks = networks
        self._server: Server | None = None
        self._sites: dict[str, Site] = {}

    def answer_by(self, server: Server) -> None:
        """Make `server` answer in every network from now on."""
        self._server = server

    async def reconcile(self) -> None:
        up = {network.id for network in self._networks.up()}
        for network_id in self._sites.keys() - up:
            await self._sites.pop(network_id).stop()
        if self._server:
            for network_id in up - self._sites.keys():
                sock = self._networks.socket_at(network_id, str(API), API_PORT)
                self._sites[network_id] = await self._server.answer_at(sock, network_id)

    async def close(self) -> None:
        """Close the server with its sites."""
        self._sites.clear()
        if self._server:
            await self._server.close()
