"""A host without machines, for the local cloud's own API on it, which answers in milliseconds; and a REST client."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import grpc
import pytest

from samovar.cloud.connection import Access
from samovar.cloud.session import Session
from samovar.core.local_clouds import Endpoint
from samovar.localcloud.api.admin import admin_routes
from samovar.localcloud.api.grpc_server import serve_grpc
from samovar.localcloud.api.pki import ensure_pki
from samovar.localcloud.api.rest_server import RestServer, make_rest_server
from samovar.localcloud.api.storage import Storage
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.cloud import Cloud, running
from samovar.localcloud.daemon.bootstrap import ensure_operator
from samovar.localcloud.fault_injection.fault_routes import fault_routes, machine_fault_routes
from samovar.localcloud.home.home import Home
from samovar.localcloud.host_drivers import Host
from samovar.localcloud.simulated.machines import SimulatedDiskBuilder, SimulatedDriver
from samovar.localcloud.simulated.settings import NUMBER
from samovar.localcloud.simulated.simulated_fabric import SimulatedFabric
from samovar.localcloud.sockets.ports import listen
from samovar.localcloud.store.store import Store
from tests.support.ports import free_port


class RunningCloud:
    """A cloud in a thread of its own, reached over gRPC and TLS as by any client.

    It behaves as one of real machines does, unless it is to be one of `simulated` machines.
    """

    def __init__(self, folder: Path, *, simulated: bool = False) -> None:
        self._simulated = simulated
        self.home = Home(folder)
        self.home.make()
        self.driver = SimulatedDriver()
        self.fabric = SimulatedFabric(self.driver.answer)
        self.endpoint: Endpoint
        self.cloud: Cloud
        self._rest: RestServer
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()

    @contextmanager
    def serving(self) -> Iterator[RunningCloud]:
        ready: Future[None] = Future()
        thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run(ready)))
        thread.start()
        ready.result(timeout=20)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._end.set)
            thread.join()
            self._loop.close()

    def answer_rest_at(self, sock: socket.socket) -> None:
        """The REST form answers at one more bound socket."""
        asyncio.run_coroutine_threadsafe(self._rest.answer_at(sock), self._loop).result(timeout=5)

    def call_soon(self, act: Callable[[], None]) -> None:
        """Do it in the cloud's own thread."""
        self._loop.call_soon_threadsafe(act)

    def session(self) -> Session:
        """Return a session of the operator."""
        ends = self.endpoint
        return Session(Access(endpoint=ends.grpc, folder_id=ends.folder_id, ca=Path(ends.ca), token=ends.token))

    def channel(self, token: str | None = None) -> grpc.Channel:
        """Return an authenticated channel; with a token of one's own, or "" for none."""
        tls = grpc.ssl_channel_credentials(Path(self.endpoint.ca).read_bytes())
        chosen = self.endpoint.token if token is None else token
        if chosen:
            tls = grpc.composite_channel_credentials(tls, grpc.access_token_call_credentials(chosen))
        return grpc.secure_channel(self.endpoint.grpc, tls, options=[("grpc.enable_http_proxy", 0)])

    async def _run(self, ready: Future[None]) -> None:
        try:
            tokens, store = Tokens(self.home.pki / "token-secret"), Store(self.home.database)
            host = Host(NUMBER, self.driver, self.fabric, SimulatedDiskBuilder(), simulated=self._simulated)
            self.cloud = Cloud(self.home, store, tokens, host)
            pki = ensure_pki(self.home.pki)
            operator = ensure_operator(self.home.pki, store, tokens)
            rest_socket = listen(0)  # first, so that the other port is another one
            address = f"127.0.0.1:{free_port()}"
            self.endpoint = Endpoint(
                pid=0,
                number=NUMBER,
                grpc=address,
                rest=f"127.0.0.1:{rest_socket.getsockname()[1]}",
                ca=str(pki.ca),
                token=operator.token,
                key_file=str(operator.key_file),
                cloud_id=operator.folder.cloud_id,
                folder_id=operator.folder.id,
                zone="ru-central1-a",
                oauth_token=tokens.oauth,
            )
            self.cloud.endpoints.answer_at(grpc=address, rest=self.endpoint.rest)
            server = await serve_grpc(self.cloud.api, pki, address)
            admin = admin_routes(self.cloud, lambda: asdict(self.cloud.status()), self._end.set)
            admin += fault_routes(self.cloud.faults, self.cloud.api.methods.values())
            admin += machine_fault_routes(self.driver)
            routes = (*Storage(self.home.uploads).routes(), *admin)
            self._rest = await make_rest_server(self.cloud.api, routes, pki)
            await self._rest.answer_at(rest_socket)
        except BaseException as error:
            ready.set_exception(error)
            raise
        async with running(self.cloud):
            ready.set_result(None)
            await self._end.wait()
        await server.stop(None)
        await self._rest.close()
        await self.cloud.take_down()
        store.close()


class Rest:
    """A connection with a token of its own; `call` gives the status and the JSON of the answer."""

    def __init__(self, cloud: RunningCloud, token: str | None = None) -> None:
        self._context = ssl.create_default_context(cafile=cloud.endpoint.ca)
        self._address = cloud.endpoint.rest
        chosen = cloud.endpoint.token if token is None else token
        self.answered: dict[str, str] = {}
        """The headers of the last answer."""
        self._headers = {"Authorization": f"Bearer {chosen}"} if chosen else {}

    def call(self, verb: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        return self.raw(verb, path, sent, **headers)

    def raw(self, verb: str, path: str, body: bytes | None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPSConnection(self._address, context=self._context, timeout=10)
        try:
            connection.request(verb, path, body=body, headers=self._headers | headers)
            response = connection.getresponse()
            self.answered = dict(response.getheaders())
            return response.status, json.loads(response.read())
        finally:
            connection.close()


def set_yandex_variables(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the tool the variables by which it takes `cloud` for Yandex Cloud, with its operator's token."""
    ends = cloud.endpoint
    variables = {
        "YC_ENDPOINT": ends.grpc,
        "SSL_CERT_FILE": ends.ca,
        "YC_FOLDER_ID": ends.folder_id,
        "YC_TOKEN": ends.token,
    }
    for name in ("YC_SERVICE_ACCOUNT_KEY_FILE", "YC_CLOUD_ID", "YC_METADATA_ADDR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
