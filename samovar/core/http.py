"""The one way to send an HTTP request, directly and never through a proxy.

It stands on http.client: the import of httpx takes 0.15 s, which every command would pay. The load generator alone
uses clients of its own, for HTTP/2 and for many requests at the same time.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

BLOCK_SIZE = 1 << 20
OK, CREATED, NO_CONTENT, MULTIPLE_CHOICES, INTERNAL_SERVER_ERROR = 200, 201, 204, 300, 500
BAD_REQUEST, NOT_FOUND, UNPROCESSABLE = 400, 404, 422


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


class BadStatus(ConnectionError):
    """An answer with another status than 2xx, and the beginning of its text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


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
    connection, path = _opened(url, timeout, tls)
    sized = {"Content-Length": str(body.seek(0, 2))} if body else {}
    if body:
        body.seek(0)
    try:
        connection.request(method, path, body=body, headers={**sized, **(headers or {})})
        answer = connection.getresponse()
        return Response(answer.status, answer.read())
    except http.client.HTTPException as error:
        raise ConnectionError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def lines(
    url: str, *, timeout: float | None, headers: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """GET an answer that comes bit by bit, and yield its lines as they come. `timeout` (seconds) may bound a pause.

    Raises OSError where there is no answer, none that is HTTP, or one with another status than 2xx.
    """
    connection, path = _opened(url, timeout, tls)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        if not OK <= answer.status < MULTIPLE_CHOICES:
            raise BadStatus(answer.status, answer.read().decode(errors="replace")[:500])
        for line in answer:
            yield line.decode(errors="replace").rstrip("\n")
    except http.client.HTTPException as error:
        raise ConnectionError(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def without_verification() -> ssl.SSLContext:
    """Return a context that accepts any certificate, for servers that are known by their address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _opened(url: str, timeout: float | None, tls: ssl.SSLContext | None) -> tuple[http.client.HTTPConnection, str]:
    """Return a connection for a URL, and the path to ask for."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=tls, blocksize=BLOCK_SIZE), path
    return http.client.HTTPConnection(host, parts.port, timeout=timeout, blocksize=BLOCK_SIZE), path
