"""What the home remembers: whether its machines are real or simulated, and how fast time passes for simulated ones."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum

from samovar.core.errors import ConfigError
from samovar.core.files import write_private
from samovar.core.program import command_line
from samovar.localcloud.home.home import Home


class Machines(StrEnum):
    """What stands for a machine: a container on this host, or a state."""

    REAL = "real"
    SIMULATED = "simulated"


@dataclass(frozen=True)
class Simulation:
    """`speed` is simulated seconds per second."""

    speed: float = 1.0


def simulation_of(home: Home) -> Simulation | None:
    """None where the machines are real, or the home is another user's."""
    if not os.access(home.simulation, os.R_OK):
        return None
    return Simulation(**json.loads(home.simulation.read_text()))


def choose(home: Home, machines: Machines | None, speed: float | None) -> Simulation | None:
    """Keeps what was chosen, and answers as `simulation_of`. ConfigError for what the home cannot become.

    A home has machines of one kind for life: what runs in it was made on that ground.
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
