"""The edge and the application read a request alike: requests of every kind, compared pair by pair.

The application is a stub that writes down each request as it came and answers 500, so that what is safe to repeat
comes a second time. Two readers of paths stand for applications: one that takes them as they are written, as the
stub does, and one that decodes and cleans them, as Go's and most others do.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.edge import edge_image, running_scenario
from tests.support.edge_scenarios import recorder

EXAMPLES = 1000
ROUTES = [
    "/",
    "/ping",
    "/long_dummy",
    "/long_dummy",
    "/api/movie",
    "/api/session",
    "/api/session/7",
    "/operation",
    "/-/health",
    "/-/peer",
]
METHODS = [
    "GET",
    "HEAD",
    "POST",
    "DELETE",
    "PUT",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "get",
    "Post",
    "GET_",
    "PROPFIND",
    "PURGE",
]
HEADERS = [
    ("accept-encoding", "gzip, br"),
    ("range", "bytes=0-0"),
    ("cache-control", "no-cache"),
    ("cookie", "a=b"),
    ("x-made", "1"),
    ("x-request-id", "mine"),
    ("x-forwarded-for", "198.18.235.2"),
    ("x-http-method-override", "DELETE"),
    ("x-http-method", "DELETE"),
    ("x-method-override", "DELETE"),
    ("x_http_method_override", "DELETE"),
    ("x-original-url", "/long_dummy"),
    ("x-rewrite-url", "/long_dummy"),
    ("expect", "100-continue"),
    ("if-none-match", "*"),
    ("authorization", "Basic YTpi"),
]
HOP_BY_HOP = [("Connection", "close, X-Forwarded-For, X-Request-Id"), ("Upgrade", "h2c"), ("TE", "trailers")]
OVERRIDES = ("x-http-method", "x-method-override", "x-original-url", "x-rewrite-url", "x_http")
REPEATED = {"GET", "HEAD"}
FORWARDED = [
    "forwarded",
    "front-end-https",
    "true-client-ip",
    "x-client-ip",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-original-host",
    "x-real-ip",
]
"""By which frameworks that trust a proxy take another client, scheme or host than the proxy's."""
OWN = "10.0.0.9"
LIST = re.compile(r"^/(api/[a-z]+|long_dummy)/?$")
"""By which a node of bingo tells its kinds of requests apart: images/bingo/role.yaml."""


@dataclass(frozen=True)
class Request:
    """A request as a client sends it: over HTTP/2 and TLS, or over HTTP/1."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    version: str

    def http1(self) -> bytes:
        length = [("Content-Length", str(len(self.body)))] if self.body else []
        lines = [f"{self.method} {self.target} HTTP/{self.version}", "Host: a.example", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, *length)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    def http2(self) -> tuple[h2.connection.H2Connection, bytes]:
        loose = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        line = [(":method", self.method), (":path", self.target), (":scheme", "https"), (":authority", "a.example")]
        headers = [(name.encode(), value.encode("latin-1")) for name, value in [*line, *self.headers]]
        connection = h2.connection.H2Connection(loose)
        connection.initiate_connection()
        connection.send_headers(1, headers, end_stream=not self.body)
        if self.body:
            connection.send_data(1, self.body, end_stream=True)
        return connection, connection.data_to_send()


@dataclass(frozen=True)
class Exchange:
    """The result of a request: the edge's status and headers, and each request that the application got."""

    status: int
    headers: dict[str, str]
    asked: tuple[str, ...]


class Edge:
    """An edge before the application."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def send(self, request: Request) -> Exchange:
        if request.version != "2":
            answer, asked = self._exchange(request.http1(), tls=False)
            return Exchange(*_parsed(answer), asked)
        connection, data = request.http2()
        answer, asked = self._exchange(data, tls=True)
        for event in connection.receive_data(answer):
            if isinstance(event, h2.events.ResponseReceived):
                headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
                return Exchange(int(headers[":status"]), headers, asked)
        return Exchange(400, {}, asked)

    def _exchange(self, data: bytes, *, tls: bool) -> tuple[bytes, tuple[str, ...]]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"tls": tls, "data": base64.b64encode(data).decode()}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._process.communicate()[1]
        reply = json.loads(line)
        return base64.b64decode(reply["answer"]), tuple(reply["seen"])


def _parsed(answer: bytes) -> tuple[int, dict[str, str]]:
    """Return status and headers of an HTTP/1 answer; 400 if the connection was closed without one."""
    text = answer.decode("latin-1").removeprefix("HTTP/1.1 100 Continue\r\n\r\n")
    head = text.partition("\r\n\r\n")[0].split("\r\n")
    if not head[0].startswith("HTTP/1"):
        return 400, {}
    return int(head[0].split()[1]), {
        name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])
    }


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with running_scenario(edge_image(), recorder.record_exchanges) as running:
        yield Edge(running.process)


CHANGES: dict[str, Callable[[str], str]] = {
    "double slash": lambda path: f"/{path}",
    "dot": lambda path: f"/.{path}",
    "dots": lambda path: f"/x/..{path}",
    "encoded dots": lambda path: f"/x/%2e%2E{path}",
    "encoded": lambda path: f"/%{ord(path[1:2] or '/'):02x}{path[2:]}",
    "encoded twice": lambda path: f"/%25{ord(path[1:2] or '/'):02X}{path[2:]}",
    "case": lambda path: path[:2].upper() + path[2:],
}
"""What is done to the end of a path from one of its slashes on."""
ENDS = ["/", "//", "/.", "/..", "?", "?a=1", "?/../x", "?a//b/../c", "#a", ";a=1", "%2f", "%2F..", "%3fa", "%23", "%20"]
ENDS += ["%0d%0aX-A:%20b", "%00", "\\..\\x", "%5c", "\xe9", "%c3%a9", "%", "%zz", '"<>|^`{}', "\x7f", "%7f", "+", "~"]
ENDS += ["%7e", "\t", " ", "/-/health"]


def respelled(target: str, change: str, place: int) -> str:
    """The same path, as some would read it, or nearly."""
    if change not in CHANGES:
        return target + change
    slashes = [at for at, letter in enumerate(target) if letter == "/"]
    at = slashes[place % len(slashes)]
    return target[:at] + CHANGES[change](target[at:])


@st.composite
def targets(draw: st.DrawFn) -> str:
    target = draw(st.sampled_from(ROUTES))
    for change, place in draw(st.lists(st.tuples(st.sampled_from([*CHANGES, *ENDS]), st.integers(0, 3)), max_size=4)):
        target = respelled(target, change, place)
    return draw(st.sampled_from(["", "", "", "", "http://b.example", "https://b.example:8/"])) + target


@st.composite
def requests(draw: st.DrawFn) -> Request:
    version = draw(st.sampled_from(["1.1", "1.1", "1.0", "2"]))
    headers = draw(
        st.lists(st.sampled_from(HEADERS if version == "2" else HEADERS + HOP_BY_HOP), max_size=3, unique=True)
    )
    body = draw(st.sampled_from([b"", b"", b"{}"]))
    method = draw(st.one_of(st.sampled_from(["GET", "POST"]), st.sampled_from(METHODS)))
    return Request(method, draw(targets()), tuple(headers), body, version)


def as_written(path: str) -> str:
    return "/" + path.strip("/")


def cleaned(path: str) -> str:
    return posixpath.normpath("/" + unquote(path, "latin-1").lstrip("/"))


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(request=requests())
def test_edge_and_application_read_a_request_alike(edge: Edge, request: Request) -> None:
    exchange = edge.send(request)
    if not exchange.asked:
        assert 400 <= exchange.status < 500, "who is not passed on is refused"
        return
    (head,) = {*exchange.asked}
    line, *lines = head.split("\r\n")
    method, target, version = line.split(" ")
    path, mark, query = target.partition("?")
    headers = [(name.lower(), value) for name, _, value in (header.partition(": ") for header in lines) if name]
    names = [name for name, _ in headers]
    long = "x-cache" in exchange.headers

    assert version == "HTTP/1.1"
    assert method == request.method or (long and (method, request.method) == ("GET", "HEAD"))
    assert len(exchange.asked) == (2 if method in REPEATED else 1), "what is safe to repeat, and nothing else"
    assert {as_written(path) == "/long_dummy", cleaned(path) == "/long_dummy"} == {long}
    assert bool(LIST.match(path)) == bool(LIST.match(cleaned(path)))
    assert not {each for each in (as_written(path), cleaned(path)) if each.startswith("/-/")}
    assert path == cleaned(path) or path.rstrip("/") == quoted(cleaned(path)), "it is canonical"
    assert not any(name.startswith(OVERRIDES) for name in names)
    assert names.count("x-request-id") == 1
    assert ("x-request-id", "mine") not in headers
    if long:
        assert sorted(names) == ["connection", "host", "x-request-id"]
        assert not mark
    else:
        assert [value for name, value in headers if name == "x-forwarded-for"] == [OWN]
        assert query == request.target.partition("#")[0].partition("?")[2].rstrip(" ")


def test_client_scheme_and_host_are_those_that_the_edge_states(edge: Edge) -> None:
    headers = tuple((name, "198.18.235.2") for name in (*FORWARDED, "x-forwarded-for", "x-forwarded-proto"))
    (head,) = {*edge.send(Request("GET", "/ping", headers, b"", "1.1")).asked}
    lines = [line.lower().partition(": ") for line in head.split("\r\n")]
    forwarded = {name: value for name, _, value in lines if name in FORWARDED or name.startswith("x-forwarded")}
    assert forwarded == {"x-forwarded-for": OWN, "x-forwarded-proto": "http"}


def quoted(path: str) -> str:
    """Return a path as nginx writes it: each character that is not plain as %XX."""
    return re.sub(r'[\x00-\x20"#%<>?\\^`{|}\x7f-\xff]', lambda match: f"%{ord(match[0]):02X}", path)
