"""The metadata service over HTTP: a thin layer over the trees. One application serves one network.

Connections are kept alive and the unknown is a clean, immediate 404: anything else makes cloud-init wait and retry.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from aiohttp import web

from samovar.localcloud.metadata.forms import (
    Node,
    OnDemand,
    ec2_tree,
    gce_tree,
    is_folder,
    lookup,
    names,
    recursive_json,
    recursive_text,
)
from samovar.localcloud.metadata.model import MachineMetadata, Token

FLAVOR = {"Metadata-Flavor": "Google"}
LOOK_AGAIN = 0.5
"""Seconds between two looks while a client waits for a change."""

FindMachine = Callable[[str], MachineMetadata | None]
IssueToken = Callable[[MachineMetadata], Token]


@dataclass(frozen=True)
class Query:
    """The query of Google's form. Without `last_etag` a client waits for a change from now; `timeout` is in seconds."""

    alt: str | None = None
    recursive: bool = False
    wait: bool = False
    last_etag: str | None = None
    timeout: float = inf

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Query:
        """Parse a query. Raises ValueError with the key that is wrong."""
        alt = query.get("alt")
        if alt not in {None, "json", "text"}:
            raise ValueError(f"alt={alt}: json or text")
        timeout = query.get("timeout_sec", "")
        if timeout and not timeout.isdecimal():
            raise ValueError(f"timeout_sec={timeout}: whole seconds")
        return cls(
            alt=alt,
            recursive=query.get("recursive", "").lower() == "true",
            wait=query.get("wait_for_change", "").lower() == "true",
            last_etag=query.get("last_etag"),
            timeout=float(timeout or inf),
        )


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; Google's form adds an ETag, by which a client waits for the next change."""

    status: int
    body: str
    content_type: str = "text/plain"

    @property
    def etag(self) -> str:
        return hashlib.sha256(self.body.encode()).hexdigest()[:16]

    def response(self, headers: Mapping[str, str] | None = None) -> web.Response:
        return web.Response(status=self.status, text=self.body, content_type=self.content_type, headers=headers)


UNKNOWN_PATH = Answer(404, "not found\n")


def make_app(find: FindMachine, issue_token: IssueToken) -> web.Application:
    """Make one network's service: `find` returns a machine by its address, `issue_token` a token of its account."""
    service = _Service(find, issue_token)
    app = web.Application()
    app.router.add_get("/computeMetadata/v1{path:(/.*)?}", service.gce)
    app.router.add_get(r"/{version:latest|\d{4}-\d{2}-\d{2}}{path:(/.*)?}", service.ec2)
    app.router.add_put("/latest/api/token", _no_session_token)
    return app


def gce_answer(machine: MachineMetadata, path: str, query: Query, issue_token: IssueToken) -> Answer:
    """Answer in Google's form: text by default, JSON where it is recursive."""
    if not machine.options.gce_endpoint:
        return Answer(400, f'GCE metadata endpoint is disabled for "{machine.id}"\n')
    node = lookup(gce_tree(machine), path)
    if node is None:
        return UNKNOWN_PATH
    if isinstance(node, OnDemand):
        return _json(issue_token(machine).in_google_form()) if machine.options.gce_token else _token_disabled(machine)
    return _show(node, query)


def ec2_answer(machine: MachineMetadata, path: str, issue_token: IssueToken) -> Answer:
    """Answer in Amazon's form, version 1, which needs no session token."""
    if not machine.options.aws_endpoint:
        return Answer(400, f'AWS metadata endpoint is disabled for "{machine.id}"\n')
    node = lookup(ec2_tree(machine), path)
    if node is None:
        return UNKNOWN_PATH
    if isinstance(node, OnDemand):
        return _json(issue_token(machine).in_amazon_form()) if machine.options.aws_token else _token_disabled(machine)
    return _show(node, Query())


def _show(node: Node, query: Query) -> Answer:
    if query.recursive and query.alt == "text":
        return Answer(200, recursive_text(node) if is_folder(node) else str(node))
    if query.alt == "json" or (query.recursive and is_folder(node)):
        value = recursive_json(node) if query.recursive or not is_folder(node) else names(node)
        return _json(json.dumps(value))
    return Answer(200, "\n".join(names(node)) if is_folder(node) else str(node))


def _json(body: str) -> Answer:
    return Answer(200, body, "application/json")


def _token_disabled(machine: MachineMetadata) -> Answer:
    return Answer(400, f'Token is disabled for "{machine.id}"\n')


async def _no_session_token(_: web.Request) -> web.Response:
    """Refuse Amazon's second version: clients fall back to the first."""
    return UNKNOWN_PATH.response()


class _Service:
    def __init__(self, find: FindMachine, issue_token: IssueToken) -> None:
        self._find = find
        self._issue_token = issue_token

    async def gce(self, request: web.Request) -> web.Response:
        if request.headers.get("Metadata-Flavor") != "Google":
            return Answer(403, "Missing Metadata-Flavor:Google header.\n").response(FLAVOR)
        try:
            query = Query.parse(request.query)
        except ValueError as error:
            return Answer(400, f"{error}\n").response(FLAVOR)
        answer = await self._changed(request, query) if query.wait else self._gce(request, query)
        return answer.response({**FLAVOR, "ETag": answer.etag})

    async def ec2(self, request: web.Request) -> web.Response:
        machine = self._machine(request)
        if machine is None:
            return UNKNOWN_PATH.response()
        return ec2_answer(machine, request.match_info["path"], self._issue_token).response()

    def _gce(self, request: web.Request, query: Query) -> Answer:
        machine = self._machine(request)
        if machine is None:
            return UNKNOWN_PATH
        return gce_answer(machine, request.match_info["path"], query, self._issue_token)

    async def _changed(self, request: web.Request, query: Query) -> Answer:
        clock = asyncio.get_running_loop().time
        deadline = clock() + query.timeout
        answer = self._gce(request, query)
        last_etag = query.last_etag or answer.etag
        while answer.status == web.HTTPOk.status_code and answer.etag == last_etag and clock() < deadline:
            await asyncio.sleep(min(LOOK_AGAIN, deadline - clock()))
            answer = self._gce(request, query)
        return answer

    def _machine(self, request: web.Request) -> MachineMetadata | None:
        return self._find(request.remote or "")
