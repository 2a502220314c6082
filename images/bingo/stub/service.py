"""Answers requests: the routes of the API, behind the fault injector and the rate limit."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from .database import Database, DatabaseUnavailable
from .faults import FaultInjector
from .http import Request, Response
from .limiter import Limiter
from .log import Log
from .settings import Settings

MOVIES = "SELECT row_to_json(movies)::text FROM movies"
CUSTOMERS = "SELECT row_to_json(customers)::text FROM customers"
SESSIONS = (
    "SELECT json_build_object('id', sessions.id, 'start_time', sessions.start_time,"
    " 'customer', row_to_json(customers), 'movie', row_to_json(movies))::text FROM sessions"
    " JOIN movies ON movies.id = sessions.movie_id JOIN customers ON customers.id = sessions.customer_id"
)
SELECTS = {
    "movie": (MOVIES, "movies.id"),
    "customer": (CUSTOMERS, "customers.id"),
    "session": (SESSIONS, "sessions.id"),
}
ORDERS = {
    "movie": "movies.year DESC, movies.name, movies.id DESC",
    "customer": "customers.surname, customers.name, customers.id DESC",
    "session": "movies.year DESC, movies.name, customers.id, sessions.id DESC",
}
LONGEST_LIST = 100_000
INSERT = (
    "INSERT INTO sessions (start_time, customer_id, movie_id)"
    " SELECT localtimestamp, customers.id, movies.id FROM customers, movies"
    " WHERE customers.id = :customer AND movies.id = :movie RETURNING row_to_json(sessions)::text"
)
DELETE = "DELETE FROM sessions WHERE id = :id RETURNING id"
LARGEST_ID = (1 << 31) - 1


class Service:
    """The request handler; it may run many times concurrently."""

    def __init__(self, database: Database, injector: FaultInjector, settings: Settings, log: Log) -> None:
        self._database = database
        self._injector = injector
        self._settings = settings
        self._log = log
        self._limiter = Limiter()

    async def answer(self, request: Request) -> Response:
        began = time.monotonic()
        response = await self._limited(request)
        fields = {"method": request.method, "path": request.path, "body": request.body.decode(errors="replace")}
        self._log.write("info", "answered", status=response.status, seconds=time.monotonic() - began, **fields)
        return response

    async def _limited(self, request: Request) -> Response:
        self._log.write("debug", "request", method=request.method, path=request.path)
        wait = self._limiter.wait(time.monotonic())
        await asyncio.sleep(self._limiter.max_wait if wait is None else wait)
        if self._injector.failing:
            return _text(500, "I feel bad")
        if wait is None:
            return _text(500, "too many requests")
        try:
            return await self._route(request)
        except DatabaseUnavailable as error:
            self._log.write("error", "database", error=str(error))
            return _text(500, "the database is unavailable")

    async def _route(self, request: Request) -> Response:
        match request.method.replace("HEAD", "GET"), *request.path.strip("/").split("/"):
            case method, "api", kind, *rest if kind in SELECTS:
                return await self._api(method, kind, rest, request)
            case "POST", "operation":
                return self._operation(request.body)
            case "GET", name:
                return await self._plain(name)
        return RESPONSE_404

    async def _plain(self, name: str) -> Response:
        match name:
            case "":
                return _text(200, "Hi. This is bingo.")
            case "ping":
                return _text(200, "pong")
            case "db_dummy":
                await self._database.query("SELECT pg_sleep(0.1)")
                return _text(200, "db dummy")
            case "long_dummy":
                await asyncio.sleep(random.uniform(*self._settings.long_dummy))  # noqa: S311 - no secret
                return _text(200, f"long dummy, made at {datetime.now(UTC).isoformat()}")
        return RESPONSE_404

    async def _api(self, method: str, kind: str, rest: list[str], request: Request) -> Response:
        match method, kind, rest:
            case "GET", _, []:
                return await self._list(kind, head=request.method == "HEAD")
            case "GET", _, [text] if number := _id(text):
                select, key = SELECTS[kind]
                return _row(await self._database.query(f"{select} WHERE {key} = :id", id=number))
            case "POST", "session", []:
                return await self._create(request.body)
            case "DELETE", "session", [text] if number := _id(text):
                deleted = await self._database.query(DELETE, id=number)
                return _json(200, {"id": number}) if deleted else RESPONSE_404
        return RESPONSE_404

    async def _list(self, kind: str, *, head: bool) -> Response:
        """Return all rows. The first block is read first, so that a failing database still answers 500."""
        rows = self._database.stream(f"{SELECTS[kind][0]} ORDER BY {ORDERS[kind]} LIMIT {LONGEST_LIST}")
        first = await anext(rows, b"")
        if head:
            await rows.aclose()
            return Response(200, b"")
        return Response(200, self._array(first, rows))

    async def _array(self, first: bytes, rows: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """Yield the list as JSON. If the database fails meanwhile, the connection is aborted: the status is sent."""
        try:
            async with aclosing(rows):
                yield b"[" + first
                async for block in rows:
                    yield block
                yield b"]\n"
        except DatabaseUnavailable as error:
            self._log.write("error", "database", error=str(error))
            raise ConnectionAbortedError from error

    async def _create(self, body: bytes) -> Response:
        document = _document(body)
        customer, movie = _id(document.get("customer_id")), _id(document.get("movie_id"))
        if not customer or not movie:
            return _text(400, "customer_id and movie_id must be given")
        return _row(await self._database.query(INSERT, customer=customer, movie=movie))

    def _operation(self, body: bytes) -> Response:
        number = _document(body).get("operation")
        if type(number) is not int:
            return _text(400, "operation must be a number")
        self._log.write("info", "operation", operation=number)
        if fault := self._settings.operations.get(number):
            self._injector.inject(fault)
        return _text(500, "I feel bad") if self._injector.failing else _json(200, {"operation": number})


def _id(value: Any) -> int:
    """Return the id, or 0 if it is not a valid one."""
    text = str(value)
    if not re.fullmatch("[0-9]{1,10}", text, re.ASCII):
        return 0
    return int(text) if int(text) <= LARGEST_ID else 0


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _row(rows: list[list[Any]]) -> Response:
    return Response(200, rows[0][0].encode() + b"\n") if rows else RESPONSE_404


def _json(status: int, document: Any) -> Response:
    return Response(status, json.dumps(document).encode() + b"\n")


def _text(status: int, text: str) -> Response:
    return Response(status, f"{text}\n".encode(), "text/plain; charset=utf-8")


RESPONSE_404 = _text(404, "not found")
