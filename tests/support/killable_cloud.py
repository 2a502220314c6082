"""A local cloud that is killed, as by SIGKILL, at a chosen step; the store, the simulated host and the home stay.

Steps are where something outlives the daemon: before and after each statement that the store writes, and each call that
goes to the host. What is not committed then is lost; what was done to the host is done.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from samovar.localcloud.api.pipeline import Call
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.cloud import Cloud, running
from samovar.localcloud.daemon.bootstrap import Operator, ensure_operator
from samovar.localcloud.disks.freeze import Freeze
from samovar.localcloud.home.home import Home
from samovar.localcloud.home.quarantine import adopt_files
from samovar.localcloud.host_drivers import Host
from samovar.localcloud.machines.model import Machine, Observed
from samovar.localcloud.network.model import Network
from samovar.localcloud.simulated.machines import SimulatedDiskBuilder, SimulatedDriver
from samovar.localcloud.simulated.settings import NUMBER
from samovar.localcloud.simulated.simulated_fabric import SimulatedFabric
from samovar.localcloud.store.store import Store


class Killed(BaseException):
    """The daemon is killed. No handler of `Exception` may go on after it."""


@dataclass
class KillSwitch:
    """Counts the steps that a daemon has left, and kills it at the last; then it does nothing more."""

    left: int
    killed: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self) -> None:
        if self.left <= 0:
            self.killed.set()
            raise Killed
        self.left -= 1


class _Database:
    """The store's connection. Reading changes nothing, so it takes no step."""

    def __init__(self, database: sqlite3.Connection, switch: KillSwitch) -> None:
        self._database = database
        self._switch = switch

    @property
    def in_transaction(self) -> bool:
        return self._database.in_transaction

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        if statement.startswith("SELECT"):
            return self._database.execute(statement, values)
        self._switch.step()
        cursor = self._database.execute(statement, values)
        self._switch.step()
        return cursor

    def close(self) -> None:
        self._database.close()


class _Driver(SimulatedDriver):
    """Machines whose start takes steps and leaves a file for their boot disk, as that of real ones does."""

    def __init__(self, real: SimulatedDriver, switch: KillSwitch) -> None:
        super().__init__()
        self.machines = real.machines
        self._switch = switch

    async def start(self, machine: Machine) -> None:
        await self._while(machine.boot_disk.touch)
        await self._while(lambda: self.machines.update({machine.id: Observed(running=True, pid=1)}))

    async def stop(self, machine_id: str, *, grace: float = 30.0) -> None:  # noqa: ARG002 - the contract's
        await self._while(lambda: self.machines.update({machine_id: Observed(running=False, exit_code=0)}))

    async def kill(self, machine_id: str) -> None:
        await self._while(lambda: self.machines.update({machine_id: Observed(running=False)}))

    async def remove(self, machine_id: str) -> None:
        await self._while(lambda: self.machines.pop(machine_id, None))

    async def _while(self, does: Callable[[], object]) -> None:
        self._switch.step()
        await asyncio.sleep(0)
        does()
        self._switch.step()


class _Fabric(SimulatedFabric):
    """Networks whose change takes steps."""

    def __init__(self, real: SimulatedFabric, switch: KillSwitch) -> None:
        super().__init__(real._answers)
        self.networks = real.networks
        self._switch = switch

    async def apply(self, network: Network) -> None:
        if self.networks.get(network.id) != network:
            self._switch.step()
            await super().apply(network)
            self._switch.step()

    async def unplug(self, network_id: str, machine_id: str) -> None:
        self._switch.step()
        await super().unplug(network_id, machine_id)

    async def forget_flows(self, network_id: str, target: IPv4Address) -> None:
        self._switch.step()
        await super().forget_flows(network_id, target)


class _DiskBuilder(SimulatedDiskBuilder):
    """Files whose copy takes steps."""

    def __init__(self, switch: KillSwitch) -> None:
        self._switch = switch

    async def copy(self, source: Path, out: Path, size: int = 0) -> None:
        self._switch.step()
        await super().copy(source, out, size)
        self._switch.step()

    async def copy_consistently(self, source: Path, out: Path, frozen: AbstractAsyncContextManager[Freeze]) -> float:
        self._switch.step()
        seconds = await super().copy_consistently(source, out, frozen)
        self._switch.step()
        return seconds


class KillableCloud:
    """Runs one daemon after the other, on the same home and host."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.home.make()
        self.driver = SimulatedDriver()
        self.fabric = SimulatedFabric(self.driver.answer)
        self.cloud: Cloud
        self.operator: Operator

    async def run(self, scenario: Callable[[], Coroutine[Any, Any, None]], steps: int) -> bool:
        """Run a daemon and the scenario, which makes calls; return whether that ended before the kill."""
        asyncio.get_running_loop().set_exception_handler(_ignore_killed)
        switch = KillSwitch(steps)
        store = Store(self.home.database)
        store._db = _Database(store._db, switch)  # type: ignore[assignment]
        store.after_rollback = _unless_killed(store.after_rollback, switch)  # type: ignore[assignment, method-assign]
        try:
            self._start(store, switch)
            async with running(self.cloud):
                await _first(switch.killed.wait(), scenario())
        except Killed:
            pass
        await self._close(store)
        return not switch.killed.is_set()

    def call(self, method: str, request: Message, key: str = "") -> Any:
        """One call of the operator's; with a key it can be repeated."""
        descriptor = self.cloud.api.methods[f"/yandex.cloud.{method}"]
        return self.cloud.api.call(Call(descriptor, request, self.operator.token, key))

    def _start(self, store: Store, switch: KillSwitch) -> None:
        """Start as the daemon does."""
        adopt_files(self.home, store)
        tokens = Tokens(self.home.pki / "token-secret")
        host = Host(NUMBER, _Driver(self.driver, switch), _Fabric(self.fabric, switch), _DiskBuilder(switch))
        self.cloud = Cloud(self.home, store, tokens, host)
        self.operator = ensure_operator(self.home.pki, store, tokens)

    async def _close(self, store: Store) -> None:
        """Close the sockets and end the tasks, as the kernel does for a killed process."""
        if hasattr(self, "cloud"):
            for task in self.cloud.workers._tasks.values():
                task.cancel()
            await asyncio.sleep(0)
            await self.cloud.metadata.close()
            await self.cloud.balancers.close()
            await self.cloud.groups.close()
        store.close()


def _unless_killed(
    undo_later: Callable[[Callable[[], None]], None], switch: KillSwitch
) -> Callable[[Callable[[], None]], None]:
    """Wrap `after_rollback`, for a process that was killed undoes nothing."""

    def after_rollback(act: Callable[[], None]) -> None:
        undo_later(lambda: None if switch.killed.is_set() else act())

    return after_rollback


def _ignore_killed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handle exceptions of the loop but for Killed, which is no fault."""
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)


async def _first(*of: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(each) for each in of]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
