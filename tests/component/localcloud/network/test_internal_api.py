"""The client of the API inside a network, as the daemon opens it: narrower than the operator's own."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from http import HTTPStatus
from typing import Any

from samovar.core.errors import HostError
from samovar.core.waiting import Pending, wait_for
from samovar.localcloud.network.names import API, API_NAME, API_PORT
from samovar.localcloud.network.namespaces import open_socket
from tests.support.network_lab import ANSWER_TIMEOUT
from tests.support.tool import Cli


class ApiClient:
    """Asks with the operator's token: at the daemon's own port, or in the network namespace of that name."""

    def __init__(self, endpoint: dict[str, Any], netns: str | None = None) -> None:
        self._endpoint = endpoint
        self._netns = netns

    def ask(self, verb: str, path: str, body: str | None = None) -> int:
        host, _, port = self._endpoint["rest"].partition(":")
        connection = http.client.HTTPConnection(API_NAME if self._netns else host)
        raw = open_socket(self._netns, socket.AF_INET, socket.SOCK_STREAM) if self._netns else socket.socket()
        with raw:
            raw.settimeout(ANSWER_TIMEOUT)
            raw.connect((str(API), API_PORT) if self._netns else (host, int(port)))
            trust = ssl.create_default_context(cafile=self._endpoint["ca"])
            with trust.wrap_socket(raw, server_hostname=connection.host) as connection.sock:
                connection.request(verb, path, body, {"Authorization": f"Bearer {self._endpoint['token']}"})
                with connection.getresponse() as response:
                    return response.status


def test_a_network_serves_the_api_without_admin_and_storage(cli: Cli) -> None:
    cli.run("cloud", "up")
    endpoint = cli.endpoint()
    outer = ApiClient(endpoint)
    body = json.dumps({"folderId": endpoint["folder_id"], "name": "n"})
    assert outer.ask("POST", "/vpc/v1/networks", body) == HTTPStatus.OK
    inner = ApiClient(endpoint, f"samovar-{endpoint['number']}-1")
    assert _once_open(inner) == HTTPStatus.OK
    image = "/storage/images/0123456789ab.raw"
    for verb, path, expected in (
        ("GET", "/localcloud/status", HTTPStatus.OK),
        ("DELETE", image, HTTPStatus.NO_CONTENT),
    ):
        assert outer.ask(verb, path) == expected
        assert inner.ask(verb, path) == HTTPStatus.NOT_IMPLEMENTED


def _once_open(client: ApiClient) -> int:
    def ask() -> int | Pending:
        try:
            return client.ask("GET", "/compute/v1/zones")
        except (OSError, HostError) as error:
            return Pending(str(error))

    return wait_for("the API in the network", ask, timeout=ANSWER_TIMEOUT)
