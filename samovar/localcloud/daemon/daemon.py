"""The daemon is one process a home, with its ports and keys, and the file by which it is found.

On SIGTERM it ends and leaves the machines running; the next one adopts them. By the admin API (`cloud down`) it takes
everything off the host first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from functools import partial

import structlog

from samovar.core.constants import DEFAULT_ZONE
from samovar.core.errors import ExitCode, SamovarError, WaitTimeout, command_line
from samovar.core.files import exclusive
from samovar.core.json_types import JsonObject
from samovar.core.local_clouds import LOCK_FILE, Endpoint
from samovar.localcloud.api.admin import admin_routes
from samovar.localcloud.api.grpc_server import GrpcConnections, serve_grpc
from samovar.localcloud.api.pki import Pki, ensure_pki
from samovar.localcloud.api.rest_server import make_rest_server
from samovar.localcloud.api.storage import Storage
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.cloud import Cloud, power_on, running
from samovar.localcloud.daemon import offline
from samovar.localcloud.daemon.bootstrap import Operator, ensure_operator
from samovar.localcloud.daemon.log_file import log_to_stderr, take_over_stderr
from samovar.localcloud.daemon.offline import host_of, sweep
from samovar.localcloud.fault_injection.fault_routes import fault_routes, machine_fault_routes
from samovar.localcloud.fault_injection.profile import choice_of
from samovar.localcloud.home.backups import Backups, open_store
from samovar.localcloud.home.home import Home, QuotaSet
from samovar.localcloud.home.numbers import Claim, claim
from samovar.localcloud.home.quarantine import adopt_files
from samovar.localcloud.home.raised_limits import load_modules, raise_limits
from samovar.localcloud.iam.rpc import choose_logins
from samovar.localcloud.quota_manager.model import choose_quotas
from samovar.localcloud.simulated.settings import NoClaim
from samovar.localcloud.sockets import connections
from samovar.localcloud.sockets.ports import LOOPBACK, Ports, listen, ports_of
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.addresses.model import numbers_in_use

log = structlog.get_logger(__name__)

GRACE = 0.5
HOME_PERIOD = 0.5
"""Seconds between two looks whether the home is still there."""


class AlreadyRunning(SamovarError):
    """Another daemon has this home."""

    code = ExitCode.LOCKED


async def run(home: Home, quotas: QuotaSet | None = None, logins: Sequence[str] = ()) -> None:
    """Serve until a signal or the admin API ends it. Raises AlreadyRunning, HostError.

    `quotas` and `logins` are kept in the home; without them it stays with what was chosen before.
    """
    with _single_instance(home):
        log_to_stderr()
        connections.raise_limit()
        ports = ports_of(home.root / "ports.json")
        with contextlib.closing(open_store(home.database, Backups(home.backups))) as store:
            adopt_files(home, store)
            backup_warning = Backups(home.backups).make(store)
            held = await _claim_number(home, store)
            if quotas:
                choose_quotas(store, quotas)
            if logins:
                choose_logins(store, logins)
            tokens = Tokens(home.pki / "token-secret")
            cloud = Cloud(home, store, tokens, host_of(home, held.number), profile=choice_of(home))
            cloud.notices.report("backup", *filter(None, [backup_warning]))
            await _serve(home, ports, cloud, tokens, held)
            home.endpoint_file.unlink(missing_ok=True)


async def take_down(home: Home) -> None:
    """Take off the host what a daemon that ended has left there. Raises AlreadyRunning where one runs."""
    with _single_instance(home):
        log_to_stderr()
        await offline.take_down(home)


async def _claim_number(home: Home, store: Store) -> Claim | NoClaim:
    """Claim the home's number. On a fresh one it clears the host first, and lets run again what ran before."""
    held = NoClaim(home) if home.simulation.exists() else claim(home.root, numbers_in_use(store))
    if isinstance(held, Claim):
        load_modules()
        raise_limits()
    if held.fresh:
        await sweep(host_of(home, held.number))
        power_on(store)
        held.mark(fresh=False)
    return held


async def _serve(home: Home, ports: Ports, cloud: Cloud, tokens: Tokens, held: Claim | NoClaim) -> None:
    """Serve until the daemon is to end, and take everything off the host where it is to do that."""
    shutdown = _Shutdown()
    async with _serving(home, ports, cloud, tokens, shutdown) as endpoint, running(cloud):
        home.write_endpoint(endpoint)
        log.info("serving", grpc=endpoint.grpc, rest=endpoint.rest, number=endpoint.number)
        await shutdown.wait()
    if shutdown.take_down:
        log.info("taking everything down")
        held.mark(fresh=True)
        await cloud.take_down()
        offline.release(held, keep_number=bool(numbers_in_use(cloud.store)))


class _Shutdown:
    """The end of the daemon: by a signal, or by the admin API, which wants the host left clean."""

    def __init__(self) -> None:
        self.take_down = False
        self._event = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.end)

    def end(self) -> None:
        self._event.set()

    def shut_down(self) -> None:
        self.take_down = True
        self.end()

    async def wait(self) -> None:
        await self._event.wait()


@contextlib.asynccontextmanager
async def _serving(
    home: Home, ports: Ports, cloud: Cloud, tokens: Tokens, shutdown: _Shutdown
) -> AsyncIterator[Endpoint]:
    """Serve both ports for as long as the context lasts."""
    pki = ensure_pki(home.pki)
    endpoint = _endpoint(pki, ports, cloud, tokens, ensure_operator(home.pki, cloud.store, tokens))
    cloud.endpoints.answer_at(grpc=endpoint.grpc, rest=endpoint.rest)
    admin = admin_routes(cloud, partial(_report, home, endpoint, cloud), shutdown.shut_down)
    admin += fault_routes(cloud.faults, cloud.api.methods.values())
    admin += machine_fault_routes(cloud.host.driver)
    async with contextlib.AsyncExitStack() as stack:
        cloud.internal_api.answer_by(await make_rest_server(cloud.api, (), pki))
        stack.push_async_callback(cloud.internal_api.close)
        rest = await make_rest_server(cloud.api, [*Storage(home.uploads).routes(), *admin], pki)
        stack.push_async_callback(rest.close)
        await rest.answer_at(listen(ports.rest))
        grpc = await serve_grpc(cloud.api, pki, endpoint.grpc)
        stack.push_async_callback(grpc.stop, GRACE)
        beside = (
            GrpcConnections((LOOPBACK, ports.grpc)).run(),
            take_over_stderr(home.log).keep_small(),
            _end_without_home(home, shutdown),
        )
        for task in beside:
            stack.callback(asyncio.create_task(task).cancel)
        stack.callback(cloud.audit_log.end_following)
        yield endpoint


def _endpoint(pki: Pki, ports: Ports, cloud: Cloud, tokens: Tokens, operator: Operator) -> Endpoint:
    return Endpoint(
        pid=os.getpid(),
        number=cloud.host.number,
        grpc=f"{LOOPBACK}:{ports.grpc}",
        rest=f"{LOOPBACK}:{ports.rest}",
        ca=str(pki.ca),
        token=operator.token,
        key_file=str(operator.key_file),
        cloud_id=operator.folder.cloud_id,
        folder_id=operator.folder.id,
        zone=DEFAULT_ZONE,
        oauth_token=tokens.oauth,
    )


def _report(home: Home, endpoint: Endpoint, cloud: Cloud) -> JsonObject:
    served = {"pid": endpoint.pid, "number": endpoint.number, "home": str(home.root.absolute())}
    return {**served, "endpoint": {"grpc": endpoint.grpc, "rest": endpoint.rest}, **asdict(cloud.status())}


async def _end_without_home(home: Home, shutdown: _Shutdown) -> None:
    """End the daemon once its home was removed: its number is free then, and another cloud may have it."""
    inode = _lock_inode(home)
    while True:
        await asyncio.sleep(HOME_PERIOD)
        if _lock_inode(home) != inode:
            log.error("the home was removed", home=str(home.root))
            return shutdown.end()


def _lock_inode(home: Home) -> int | None:
    try:
        return (home.root / LOCK_FILE).stat().st_ino
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _single_instance(home: Home) -> Iterator[None]:
    """Hold the home's lock, which the kernel frees when the daemon dies, however it dies."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(home.root / LOCK_FILE, timeout=0))
        except WaitTimeout as error:
            raise AlreadyRunning(
                f"a daemon runs in {home.root} already", remedy=f"`{command_line('cloud status')}` shows it"
            ) from error
        yield
