"""A host without machines: the local cloud's own API on it is the real one, and answers in milliseconds."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import grpc

from localcloud.api.grpc_server import serve_grpc
from localcloud.api.hand import hand_routes
from localcloud.api.pki import ensure_pki
from localcloud.api.rest_server import RestServer, make_rest_server
from localcloud.api.storage import Storage
from localcloud.api.tokens import Tokens
from localcloud.cloud import Cloud, Host, running
from localcloud.home import Endpoint, Home
from localcloud.machines.spec import Machine, Observed
from localcloud.network.health import Result, Target, probe
from localcloud.network.spec import Network
from localcloud.operator import ensure_operator
from localcloud.ports import listen
from localcloud.store.store import Store

NUMBER = 199


class SimulatedDriver:
    """Machines that run as soon as they are started."""

    def __init__(self) -> None:
        self.machines: dict[str, Observed] = {}

    async def start(self, machine: Machine) -> None:
        self.machines[machine.id] = Observed(running=True, pid=1)

    async def stop(self, machine_id: str, *, grace: float = 30.0) -> None:  # noqa: ARG002 - the contract's
        self.machines[machine_id] = Observed(running=False, exit_code=0)

    async def kill(self, machine_id: str) -> None:
        self.machines[machine_id] = Observed(running=False)

    async def remove(self, machine_id: str) -> None:
        self.machines.pop(machine_id, None)

    def die(self, machine_id: str) -> None:
        """The machine loses its power by itself."""
        self.machines[machine_id] = Observed(running=False)

    def observe(self) -> Mapping[str, Observed]:
        return dict(self.machines)

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:  # noqa: ARG002 - the contract's
        return ()

    def kill_processes(self, machine_id: str, unit: str) -> None:
        """There are none."""

    def console(self, machine_id: str) -> bytes:
        return f"console of {machine_id}".encode()

    async def close(self) -> None:
        self.machines.clear()


class SimulatedMaker:
    """RAW files that hold nothing, but for what tells them apart."""

    async def standard(self, suite: str, out: Path) -> None:
        _write(out, f"standard {suite}".encode())

    async def merged(self, image: Path, disk: Path, out: Path) -> None:
        _write(out, _read(image) + b" changed by " + disk.stem.encode())

    async def copied(self, source: Path, out: Path, size: int = 0) -> None:
        _write(out, _read(source))
        os.truncate(out, max(size, source.stat().st_size))  # noqa: ASYNC240 - at once


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


class SimulatedFabric:
    """Networks that are what was last applied; probes and listeners end at loopback."""

    def __init__(self) -> None:
        self.networks: dict[str, Network] = {}

    async def apply(self, network: Network) -> None:
        self.networks[network.id] = network

    async def remove(self, network_id: str) -> None:
        self.networks.pop(network_id, None)

    async def unplug(self, network_id: str, machine_id: str) -> None:
        pass

    async def forget_flows(self, network_id: str, target: IPv4Address) -> None:
        pass

    def netns_of(self, machine_id: str) -> str:
        return machine_id

    def socket_in(self, _: str, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        made = _Loopback(family, kind)
        made.settimeout(0)
        return made

    async def routed(self) -> None:
        """Nothing is sent to a simulated machine."""

    async def probe(self, target: Target) -> Result:
        return await probe(self.socket_in, target)

    async def close(self) -> None:
        self.networks.clear()


class _Loopback(socket.socket):
    """Whatever it is bound or connected to, it stays on 127.0.0.1: a simulated machine answers where the test does."""

    def bind(self, _: object, /) -> None:
        super().bind(("127.0.0.1", 0))

    def connect(self, address: tuple[str, int], /) -> None:  # type: ignore[override]  # an IPv4 address alone
        super().connect(("127.0.0.1", address[1]))


class RunningCloud:
    """A cloud in a thread of its own, reached over gRPC and TLS as by any client."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.home.make()
        self.driver = SimulatedDriver()
        self.fabric = SimulatedFabric()
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

    def channel(self, token: str | None = None) -> grpc.Channel:
        """An authenticated channel; with a token of one's own, or "" for none."""
        tls = grpc.ssl_channel_credentials(Path(self.endpoint.ca).read_bytes())
        chosen = self.endpoint.token if token is None else token
        if chosen:
            tls = grpc.composite_channel_credentials(tls, grpc.access_token_call_credentials(chosen))
        return grpc.secure_channel(self.endpoint.grpc, tls, options=[("grpc.enable_http_proxy", 0)])

    async def _run(self, ready: Future[None]) -> None:
        try:
            tokens, store = Tokens(self.home.pki / "token-secret"), Store(self.home.database)
            self.cloud = Cloud(self.home, store, tokens, Host(NUMBER, self.driver, self.fabric, SimulatedMaker()))
            pki = ensure_pki(self.home.pki)
            operator = ensure_operator(self.home.pki, store, tokens, self.cloud.keys)
            address = f"127.0.0.1:{_free_port()}"
            rest_socket = listen(0)
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
            hand = hand_routes(self.cloud, self.cloud.report, self._end.set)
            routes = (*Storage(self.home.uploads).routes(), *hand)
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
