"""The HTTP clients of the load generator: aiohttp for HTTP/1.1, which costs least, and httpx for HTTP/2."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol, Self

import aiohttp
import httpx

from samovar.core.json_types import JsonObject

CLIENT_TIMEOUT = 3600.0  # each request has a deadline of its own
UNVERIFIED = "CERTIFICATE_VERIFY_FAILED"
MAX_BODY = 1 << 16
"""Bytes of a body that are kept; the rest of a long one is read and dropped."""


@dataclass(frozen=True)
class Request:
    """An HTTP request; `path` is below the address, `timeout` in seconds for all of it, `document` sent as JSON."""

    method: str
    path: str
    timeout: float
    document: JsonObject | None = None


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. The names of `headers` are in lower case; `body` has the beginning of a long body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Target:
    """An address such as `https://127.66.1.1`, the name in its certificate, and how that is verified."""

    url: str
    name: str = ""
    tls: ssl.SSLContext | None = None


class Unanswered(Exception):
    """No answer came, or not all of it; the message gives the reason in a word or two."""


class Untrusted(Unanswered):
    """The server has another certificate than the environment's."""


class Client(Protocol):
    """An HTTP client of one target; leaving its context closes the connections."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...

    async def send(self, request: Request, *, fresh: bool) -> Answer:
        """Send a request over a new connection (`fresh`) or a kept one. Raises Unanswered."""


class Http1:
    """A client for HTTP/1.1. It keeps as many connections as were needed at once."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._kept = await self._stack.enter_async_context(self._session(fresh=False))
        self._fresh = await self._stack.enter_async_context(self._session(fresh=True))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def send(self, request: Request, *, fresh: bool) -> Answer:
        session = self._fresh if fresh else self._kept
        with _unanswered_errors():
            async with (
                asyncio.timeout(request.timeout),
                session.request(
                    request.method,
                    self._target.url + request.path,
                    json=request.document,
                    allow_redirects=False,
                    server_hostname=self._target.name or None,
                ) as answer,
            ):
                body = await _beginning(answer.content.iter_any())
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, force_close=fresh, ssl=self._target.tls or True)
        headers = {"Host": self._target.name} if self._target.name else None
        return aiohttp.ClientSession(
            connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=None), trust_env=False
        )


class Http2:
    """A client for HTTP/2 over TLS. It keeps one connection, which carries the requests side by side."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._kept = self._client()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._kept.aclose()

    async def send(self, request: Request, *, fresh: bool) -> Answer:
        with _unanswered_errors():
            async with asyncio.timeout(request.timeout), self._connection(fresh=fresh) as client:
                answer = client.stream(
                    request.method,
                    self._target.url + request.path,
                    json=request.document,
                    extensions={"sni_hostname": self._target.name} if self._target.name else None,
                )
                async with answer as response:
                    body = await _beginning(response.aiter_bytes())
        return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)

    @asynccontextmanager
    async def _connection(self, *, fresh: bool) -> AsyncIterator[httpx.AsyncClient]:
        if not fresh:
            yield self._kept
            return
        async with self._client() as client:
            yield client

    def _client(self) -> httpx.AsyncClient:
        headers = {"Host": self._target.name} if self._target.name else None
        return httpx.AsyncClient(
            http1=False,
            http2=True,
            verify=self._target.tls or True,
            headers=headers,
            timeout=CLIENT_TIMEOUT,
            trust_env=False,
        )


async def _beginning(chunks: AsyncIterator[bytes]) -> bytes:
    kept = b""
    async for chunk in chunks:
        kept += chunk[: MAX_BODY - len(kept)]
    return kept


@contextmanager
def _unanswered_errors() -> Iterator[None]:
    """Turn the many errors of the libraries into Unanswered."""
    try:
        yield
    except TimeoutError as error:
        raise Unanswered("timeout") from error
    except (aiohttp.ClientConnectorError, httpx.ConnectError) as error:
        if UNVERIFIED in str(error):
            raise Untrusted(str(error)) from error
        raise Unanswered("no connection") from error
    except (aiohttp.ClientPayloadError, aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise Unanswered("cut off") from error
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
        raise Unanswered("cut off") from error
    except (aiohttp.ClientError, httpx.HTTPError) as error:
        raise Unanswered(type(error).__name__) from error
