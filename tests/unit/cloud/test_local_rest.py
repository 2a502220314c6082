"""The errors of an answer that comes line by line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from samovar.cloud.local_rest import Rest
from samovar.core import http
from samovar.core.errors import CloudError, RequestRefused


class Refusing(BaseHTTPRequestHandler):
    """Answers with the status that is the path."""

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.end_headers()
        self.wfile.write(b"because")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base's
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def lines(address: str, status: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    plain = http.lines
    monkeypatch.setattr(http, "lines", lambda url, **options: plain(url.replace("https:", "http:"), **options))
    return [*Rest(address, ca=None, token="").lines(f"/{status}", timeout=60)]


@pytest.mark.parametrize("status", [400, 422])
def test_a_request_that_is_wrong_is_refused_in_the_words_of_the_server(
    status: int, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestRefused, match=r"^because$"):
        lines(address, status, monkeypatch)


@pytest.mark.parametrize("status", [404, 502])
def test_any_other_answer_is_an_error_of_the_cloud(status: int, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CloudError, match=f"{status}: because") as error:
        lines(address, status, monkeypatch)
    assert not isinstance(error.value, RequestRefused)
