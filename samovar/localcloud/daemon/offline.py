"""Shows what outlived a daemon that ended on this host, and takes it off the host."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass

import structlog
from yandex.cloud.compute.v1.instance_pb2 import Instance

from samovar.localcloud.disks.builder import HostDiskBuilder
from samovar.localcloud.home.home import Home
from samovar.localcloud.home.numbers import Claim, claimed
from samovar.localcloud.home.raised_limits import give_back_limits
from samovar.localcloud.host_drivers import Host
from samovar.localcloud.machines.driver import NspawnDriver
from samovar.localcloud.network.kernel_fabric import KernelFabric
from samovar.localcloud.simulated.settings import NUMBER, NoClaim, simulated_host
from samovar.localcloud.store.store import Store, names
from samovar.localcloud.vpc.addresses.model import numbers_in_use

log = structlog.get_logger(__name__)


def host_of(home: Home, number: int) -> Host:
    """Return the host as the cloud of that number has it."""
    if home.simulation.exists():
        return simulated_host(home)
    driver, fabric = NspawnDriver(home.machines, f"samovar-{number}"), KernelFabric(number, home.networks)
    return Host(number, driver, fabric, HostDiskBuilder())


async def sweep(host: Host) -> None:
    """Take everything of the cloud of that number off the host, whichever home it had."""
    for machine_id in host.driver.observe():
        log.warning("left behind by another cloud", machine=machine_id)
        await host.driver.remove(machine_id)
    await host.fabric.close()
    await host.driver.close()


async def take_down(home: Home) -> None:
    """Take the home's cloud off the host. The store is kept: what ran runs again after `cloud up`."""
    number = _number(home)
    if number is not None:
        held = NoClaim(home) if home.simulation.exists() else Claim(number, home.root, fresh=False)
        held.mark(fresh=True)
        await sweep(host_of(home, number))
        release(held, keep_number=_may_have_addresses(home))
    home.endpoint_file.unlink(missing_ok=True)


def release(held: Claim | NoClaim, *, keep_number: bool) -> None:
    """End the claim of a cloud that is off the host, and its share in the limits that were raised."""
    held.release(keep_number=keep_number)
    if isinstance(held, Claim):
        give_back_limits()


def _number(home: Home) -> int | None:
    return NUMBER if home.simulation.exists() else claimed(home.root)


def _may_have_addresses(home: Home) -> bool:
    """Return whether the store has a public address; one that cannot be read may."""
    if home.database.exists():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(Store(home.database)) as store:
            return bool(numbers_in_use(store))
    return True


@dataclass(frozen=True)
class RunningMachine:
    """A machine that runs on the host; its name is its id where the store cannot be read."""

    id: str
    name: str
    running: bool
    pid: int | None


def running_machines(home: Home) -> list[RunningMachine]:
    """List the machines that run on the host, whether or not a daemon does."""
    number = _number(home)
    if number is None:
        return []
    names_by_id: dict[str, str] = {}
    with contextlib.suppress(sqlite3.Error):
        names_by_id = names(home.database, Instance)
    observed = host_of(home, number).driver.observe().items()
    return [
        RunningMachine(machine_id, names_by_id.get(machine_id, machine_id), state.running, state.pid)
        for machine_id, state in observed
        if state.running
    ]
