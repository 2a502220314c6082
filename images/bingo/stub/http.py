"""Serves HTTP/1.1 over asyncio's streams, with h11 for the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11

IDLE_TIMEOUT = 75.0
"""Seconds in which a connection must send a complete request."""
LARGEST_BODY = 1 << 20
READ = 1 << 16


@dataclass(frozen=True)
class Request:
    """An HTTP request; `path` has no query."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True)
class Response:
    """An HTTP response; a body of unknown length is sent in chunks."""

    status: int
    body: bytes | AsyncGenerator[bytes]
    content_type: str = "application/json"


Handler = Callable[[Request], Awaitable[Response]]


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    """Serve the requests of one connection, one after another, until either side ends it."""
    connection = _HttpConnection(reader, writer)
    try:
        while (request := await connection.receive()) is not None:
            await connection.send(await handler(request), head=request.method == "HEAD")
            if not connection.start_next():
                break
    except h11.RemoteProtocolError as error:
        await connection.refuse(error)
    except (OSError, TimeoutError, h11.LocalProtocolError):
        pass  # the client has left
    finally:
        writer.close()


class _HttpConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._state = h11.Connection(h11.SERVER)

    async def receive(self) -> Request | None:
        """Return the next request, or None when the client has sent its last."""
        async with asyncio.timeout(IDLE_TIMEOUT):
            head = await self._event()
            if not isinstance(head, h11.Request):
                return None
            body = bytearray()
            while isinstance(data := await self._event(), h11.Data):
                body += data.data
                if len(body) > LARGEST_BODY:
                    raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
        return Request(head.method.decode(), head.target.decode("ascii").partition("?")[0], bytes(body))

    async def send(self, response: Response, *, head: bool) -> None:
        """Send a body of known length in one write with its head: a process that is killed has sent both or neither."""
        headers = [("content-type", response.content_type)]
        if isinstance(response.body, bytes):
            headers.append(("content-length", str(len(response.body))))
        start = h11.Response(status_code=response.status, reason=HTTPStatus(response.status).phrase, headers=headers)
        if isinstance(response.body, bytes):
            self._write(start, h11.Data(data=b"" if head else response.body), h11.EndOfMessage())
        else:
            self._write(start)
            async with aclosing(response.body) as blocks:  # a client that leaves ends the stream
                async for block in blocks:
                    self._write(h11.Data(data=block))
                    await self._writer.drain()
            self._write(h11.EndOfMessage())
        await self._writer.drain()

    async def refuse(self, error: h11.RemoteProtocolError) -> None:
        """Answer an invalid request, unless a response has begun already."""
        with suppress(h11.LocalProtocolError, OSError):
            await self.send(Response(error.error_status_hint, f"{error}\n".encode(), "text/plain"), head=False)

    def start_next(self) -> bool:
        """Prepare for another request; returns False if the connection must close."""
        if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
            return False
        self._state.start_next_cycle()
        return True

    async def _event(self) -> Any:
        """Read until h11 has an event, and return it."""
        while (event := self._state.next_event()) is h11.NEED_DATA:
            if self._state.they_are_waiting_for_100_continue:
                self._write(h11.InformationalResponse(status_code=100, headers=[]))
            self._state.receive_data(await self._reader.read(READ))
        return event

    def _write(self, *events: h11.Event) -> None:
        if data := b"".join(self._state.send(event) or b"" for event in events):
            self._writer.write(data)
