"""The addresses at which the services of the API answer: all at one port over gRPC, and at another over REST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

REST = ("storage", "localcloud")
"""Endpoints over REST. Yandex Cloud has no `localcloud`: by it a client learns that there is an admin API."""


class Endpoints:
    """Each endpoint has an id, such as `compute`, and an address, host:port."""

    def __init__(self, grpc: Iterable[str]) -> None:
        """`grpc` are the ids of the services that answer over gRPC."""
        self._grpc = tuple(dict.fromkeys(grpc))
        self._addresses: dict[str, str] = {}

    def answer_at(self, *, grpc: str, rest: str) -> None:
        """Set both addresses, once they are known."""
        self._addresses = dict.fromkeys(self._grpc, grpc) | dict.fromkeys(REST, rest)

    def addresses(self, host: str) -> Mapping[str, str]:
        """Return the address of each endpoint. A caller over REST goes on at the `host` that it knows."""
        return dict.fromkeys(self._addresses, host) if host else self._addresses
