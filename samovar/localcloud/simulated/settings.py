"""Settings of a home with simulated machines: how fast time passes, and the drivers in place of the host's."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum

from samovar.core.errors import ConfigError, command_line
from samovar.core.files import write_private
from samovar.localcloud.home.home import Home
from samovar.localcloud.host_drivers import Host
from samovar.localcloud.simulated.machines import Pace, SimulatedDiskBuilder, SimulatedDriver
from samovar.localcloud.simulated.simulated_fabric import SimulatedFabric


class Machines(StrEnum):
    """The kind of machines in a home: containers on this host, or states."""

    REAL = "real"
    SIMULATED = "simulated"


@dataclass(frozen=True)
class Simulation:
    """A home with simulated machines; `speed` is simulated seconds per second."""

    speed: float = 1.0


def simulation_of(home: Home) -> Simulation | None:
    """Return the simulation of a home; None where the machines are real, or the home is another user's."""
    if not os.access(home.simulation, os.R_OK):
        return None
    return Simulation(**json.loads(home.simulation.read_text()))


def choose(home: Home, machines: Machines | None, speed: float | None) -> Simulation | None:
    """Store the choice and return the simulation of the home. Raises ConfigError for what the home cannot become.

    A home has machines of one kind for life, for its machines and disks are of that kind.
    """
    before = simulation_of(home)
    kind = machines or (Machines.SIMULATED if before else Machines.REAL)
    if home.database.exists() and (before is not None) != (kind is Machines.SIMULATED):
        there = Machines.SIMULATED if before else Machines.REAL
        raise ConfigError(
            f"the machines of {home.root} are {there}, and cannot become {kind}",
            remedy=f"take another home: {command_line(f'--home DIR cloud up --machines {kind}')}",
        )
    if kind is Machines.REAL:
        if speed is not None:
            raise ConfigError("--speed is for simulated machines", remedy="cloud up --machines simulated --speed N")
        return None
    chosen = Simulation(speed if speed is not None else before.speed if before else Simulation.speed)
    if chosen != before:
        write_private(home.simulation, json.dumps(asdict(chosen)))
    return chosen


NUMBER = 0
"""The number of every simulated cloud: none of its addresses is on the host, so all may have the same."""


@dataclass(frozen=True)
class NoClaim:
    """A claim that claims nothing: a simulated cloud has nothing on the host outside of its home."""

    home: Home
    number: int = NUMBER

    @property
    def fresh(self) -> bool:
        """Return whether no machine is left of an earlier run."""
        return not any(self.home.machines.glob("*/state.json"))

    def mark(self, *, fresh: bool) -> None:
        """Do nothing: the machines in the home show it."""

    def release(self, *, keep_number: bool) -> None:
        """Do nothing."""


def simulated_host(home: Home, pace: Pace | None = None) -> Host:
    """Return a host that holds nothing but states, which outlive the daemon in its home."""
    driver = SimulatedDriver(home.machines, pace or Pace())
    return Host(NUMBER, driver, SimulatedFabric(driver.answer), SimulatedDiskBuilder(any_uri=True), simulated=True)
