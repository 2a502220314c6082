"""`python -m samovar.localcloud --home DIR`: the daemon in the foreground. It ends on SIGTERM; its machines outlive it.

With `--show` it prints what runs, and with `--take-down` it takes off the host what a daemon left there.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from samovar.core.errors import ExitCode, HostError, SamovarError
from samovar.localcloud.fault_injection.profile import NONE, PROFILES, choose_profile
from samovar.localcloud.home.home import Home, QuotaSet
from samovar.localcloud.simulated.event_loop import SimulatedLoop
from samovar.localcloud.simulated.settings import Machines, Simulation, choose, simulation_of


def main() -> int:
    """Run the daemon and return the exit code; an error is one message on stderr."""
    parser = argparse.ArgumentParser(prog="python -m samovar.localcloud", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the folder that keeps everything of this cloud")
    parser.add_argument("--quotas", type=QuotaSet, choices=list(QuotaSet), help="kept in the home (at first: raised)")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--show", action="store_true", help="print what runs on this host, as JSON, and end")
    instead.add_argument("--take-down", action="store_true", help="take everything off this host, and end")
    parser.add_argument("--machines", type=Machines, choices=list(Machines), help="kept in the home (at first: real)")
    parser.add_argument("--speed", type=float, help="of a simulated cloud's clock, kept in the home (at first: 1)")
    parser.add_argument("--logins", default="", help="who has an account, kept in the home (at first: everybody)")
    parser.add_argument("--like", choices=[*PROFILES, NONE], help="profile of conditions, kept in the home")
    parser.add_argument("--pace", type=float, help="of the profile's waits, kept in the home (at first: 1)")
    parser.add_argument("--seed", type=int, help="of the profile's random choices, kept in the home (at first: any)")
    arguments = parser.parse_args()
    home = Home(arguments.home.resolve())
    try:
        if not (arguments.machines is Machines.SIMULATED or simulation_of(home)):
            _check_root()
        home.make()
        _act(home, arguments)
    except SamovarError as error:
        sys.stderr.write(f"localcloud: {error}\n")
        return error.code
    return ExitCode.OK


def _act(home: Home, arguments: argparse.Namespace) -> None:
    simulation = choose(home, arguments.machines, arguments.speed)
    choose_profile(home, arguments.like, arguments.pace, arguments.seed)
    gc.disable()
    from samovar.localcloud.daemon import daemon, offline  # noqa: PLC0415 - what they import takes longer than to refuse

    gc.freeze()  # what was imported is never garbage, and need not be looked through again
    gc.enable()
    if arguments.show:
        sys.stdout.write(json.dumps({"machines": [asdict(machine) for machine in offline.running_machines(home)]}))
    elif arguments.take_down:
        asyncio.run(daemon.take_down(home))
    else:
        with asyncio.Runner(loop_factory=_loop_factory(simulation)) as runner:
            runner.run(daemon.run(home, arguments.quotas, arguments.logins.split(",") if arguments.logins else ()))


def _loop_factory(simulation: Simulation | None) -> Callable[[], asyncio.AbstractEventLoop] | None:
    return partial(SimulatedLoop, simulation.speed) if simulation else None


def _check_root() -> None:
    if os.geteuid():
        raise HostError(
            "the local cloud makes network namespaces, mounts and control groups, and this user is not root",
            remedy="run it as root (sudo); simulated machines (--machines simulated) and cloud: yandex need no root",
        )


if __name__ == "__main__":
    sys.exit(main())
