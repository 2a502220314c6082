"""The REST form of the local cloud: what has no place in the API's protobufs, image storage among it."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any, BinaryIO

from samovar.core.errors import CloudError
from samovar.core.program import command_line

BLOCK = 1 << 20
TIMEOUT = 60.0


class Rest:
    """One REST endpoint, `host:port` by TLS. Never through a proxy: it is the local cloud's."""

    def __init__(self, address: str, *, ca: Path | None, token: str) -> None:
        self.address = address
        self._context = ssl.create_default_context(cafile=str(ca) if ca else None)
        self._token = token

    def call(
        self, method: str, path: str, body: BinaryIO | None = None, *, timeout: float = TIMEOUT
    ) -> tuple[int, bytes]:
        """Status and body of the answer; CloudError where there is none, or none below 500."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Length"] = str(body.seek(0, 2))
            body.seek(0)
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPSConnection(
            host, int(port), context=self._context, timeout=timeout, blocksize=BLOCK
        )
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._failed(method, path, str(error)) from error
        finally:
            connection.close()
        if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise self._failed(method, path, f"{status}: {content.decode(errors='replace')[:500]}")
        return status, content

    def json(self, method: str, path: str, *, timeout: float = TIMEOUT) -> Any:
        """The answer's JSON; CloudError for any status but 2xx."""
        status, content = self.call(method, path, timeout=timeout)
        if not http.HTTPStatus.OK <= status < http.HTTPStatus.MULTIPLE_CHOICES:
            raise self._failed(method, path, f"{status}: {content.decode(errors='replace')[:500]}")
        return json.loads(content or b"{}")

    def _failed(self, method: str, path: str, why: str) -> CloudError:
        return CloudError(
            f"{method} https://{self.address}{path}: {why}",
            remedy=f"see `{command_line('cloud status')}` and the daemon's log",
        )
