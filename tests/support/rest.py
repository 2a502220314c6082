"""A client that has nothing but HTTP and JSON, as a node has."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from tests.support.simulated import RunningCloud


class Rest:
    """A connection with a token of its own; `call` gives the status and the JSON of the answer."""

    def __init__(self, cloud: RunningCloud, token: str | None = None) -> None:
        self._context = ssl.create_default_context(cafile=cloud.endpoint.ca)
        self._address = cloud.endpoint.rest
        chosen = cloud.endpoint.token if token is None else token
        self.answered: dict[str, str] = {}
        """The headers of the last answer."""
        self._headers = {"Authorization": f"Bearer {chosen}"} if chosen else {}

    def call(self, verb: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        return self.raw(verb, path, sent, **headers)

    def raw(self, verb: str, path: str, body: bytes | None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPSConnection(self._address, context=self._context, timeout=10)
        try:
            connection.request(verb, path, body=body, headers=self._headers | headers)
            response = connection.getresponse()
            self.answered = dict(response.getheaders())
            return response.status, json.loads(response.read())
        finally:
            connection.close()
