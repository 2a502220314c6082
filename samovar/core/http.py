"""The one way to send an HTTP request, directly and never through a proxy.

It stands on http.client: the import of httpx takes 0.15 s, which every command would pay. The load generator alone
uses clients of its own, for HTTP/2 and for many requests at the same time.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

BLOCK_SIZE = 1 << 20
OK, CREATED, NO_CONTENT, MULTIPLE_CHOICES, INTERNAL_SERVER_ERROR = 200, 201, 204, 300, 500


@dataclass(frozen=True)
class Response:
    """The status and the body of an answer."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return OK <= self.status < MULTIPLE_CHOICES

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


def request(
    method: str,
    url: str,
    *,
    timeout: float,
    headers: Mapping[str, str] | None = None,
    body: BinaryIO | None = None,
    tls: ssl.SSLContext | None = None,
) -> Response:
    """Send a request and return the answer, whatever its status. `timeout` (seconds) bounds each step.

    Raises OSError where there is no answer, or none that is HTTP.
    """
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, timeout, tls)
    sized = {"Content-Length": str(body.seek(0, 2))} if body else {}
    if body:
        body.seek(0)
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    try:
        connection.request(method, path, body=body, headers={**sized, **(headers or {})})
        answer = connection.getresponse()
        return Response(answer.status, answer.read())
    except http.client.HTTPException as error:
        raise ConnectionError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def without_verification() -> ssl.SSLContext:
    """Return a context that accepts any certificate, for servers that are known by their address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _connection(
    scheme: str, host: str, port: int | None, timeout: float, tls: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=tls, blocksize=BLOCK_SIZE)
    return http.client.HTTPConnection(host, port, timeout=timeout, blocksize=BLOCK_SIZE)
