"""A scenario of an application that is not this checkout's: its routes, and what they do to requests."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.support.edge_lab import Result, Server, StubBingo, ask, configure, in_background

SEARCHES = ("/search", "/search/", "/search/a", "/searching", "/")


class Application(StubBingo):
    """Answers with its name and a number of its own, below /slow after a while, below /broken not at all."""

    numbers = iter(range(10**6))

    def do_GET(self) -> None:  # noqa: N802 - its name there
        StubBingo.requests.append(f"{self.server.name} {self.command} {self.path} {self.headers['Host']}")
        if self.path.startswith("/slow"):
            time.sleep(1.5)
        if self.path.startswith("/broken"):
            self.close_connection = True
        elif self.path.startswith("/cookies/"):
            self.send_response(200)
            self.send_header("Set-Cookie", "x" * int(self.path.removeprefix("/cookies/")))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._answer(200, json.dumps([self.server.name, next(self.numbers)]))

    def do_PUT(self) -> None:  # noqa: N802
        self.do_POST()


def routes(settings: Mapping[str, Any]) -> Result:
    """Send requests to the routes of an edge with two upstreams."""
    result: Result = {}
    for name, address in (("web", "127.0.0.2"), ("search", "127.0.0.3")):
        Server(name, address, 81).RequestHandlerClass = Application
    configure(settings)
    result["upstreams"] = [_upstream(path) for path in SEARCHES]
    result["methods"] = [_allowed("/items/7", method) for method in ("GET", "PUT", "DELETE")]
    result["bodies"] = [_post(path, 2000) for path in ("/small", "/")]
    result["cached"] = [ask(f"/pages/{page}")[1] for page in ("a?x=1", "a?x=2", "b", "a", "a?x=1")]
    result["by_query"] = [ask(f"/found?{query}")[1] for query in ("q=1", "q=2", "q=1")]
    result["hosts"] = _requests_to("/pages/a") + _requests_to("/search/")
    result |= _fetched_side_by_side()
    result["broken"] = [[ask(path)[0], len(_requests_to(path))] for path in ("/broken/once", "/broken/again")]
    result["unknown"] = ask("/other")[0]
    result["long headers"] = [ask(f"/cookies/{size}")[0] for size in (4000, 14000)]
    time.sleep(1.5)
    lines = [json.loads(line) for line in Path("/var/log/nginx/access.log").read_text().splitlines()]
    result["names"] = {line["uri"]: line["route"] for line in lines}
    return result


def _fetched_side_by_side() -> Result:
    began = time.monotonic()
    slow = [in_background(f"/slow/{number % 4}") for number in range(12)]
    statuses = [answer()[0] for answer in slow]
    return {"slow": statuses, "seconds": time.monotonic() - began, "fetched": sorted(_requests_to("/slow/"))}


def _requests_to(path: str) -> list[str]:
    """Return the requests that the applications got whose path begins so."""
    return [line for line in StubBingo.requests if line.split()[2].startswith(path)]


def _upstream(path: str) -> Any:
    """Return the name of the application that answers, or the status where none does."""
    status, body, _ = ask(path)
    return json.loads(body)[0] if status == 200 else status


def _allowed(path: str, method: str) -> list[Any]:
    status, _, headers = ask(path, method)
    return [status, headers.get("allow")]


def _post(path: str, size: int) -> int:
    connection = HTTPConnection("127.0.0.1", timeout=20)
    connection.request("POST", path, body=b"x" * size)
    return connection.getresponse().status
