"""Finding the local cloud's daemon by its endpoint file, and starting it where none runs."""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samovar.cloud.connection import Access
from samovar.core import proc
from samovar.core.errors import HostError
from samovar.core.locking import exclusive
from samovar.core.paths import PACKAGE, cache_dir, require_own
from samovar.core.process import exit_of, run, start_detached
from samovar.core.program import VARIABLE, program
from samovar.core.waiting import Pending, wait_for

CLAIMS = Path("/run/samovar")
"""A file for each cloud that this host holds something of: it names the home, after `fresh:` where little stands."""
STOPPED = frozenset("Tt")
ENDED = frozenset(("", "Z", "X"))
START_TIMEOUT = 180.0
STOP_TIMEOUT = 120.0
LOG = "daemon.log"
LAST_LINES = 12
SIMULATED = "simulated"
SIMULATION = "simulation.json"
"""In the home of a cloud whose machines are simulated."""


@dataclass(frozen=True)
class Daemon:
    """A daemon as its endpoint file describes it."""

    pid: int
    number: int
    grpc: str
    rest: str
    access: Access
    oauth_token: str = field(default="", repr=False)


def read_endpoint(home: Path) -> Daemon | None:
    """What the endpoint file says; None where there is none, or one that a power cut tore."""
    try:
        return _parse(home, json.loads((home / "endpoint.json").read_text()))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    except PermissionError as error:
        raise HostError(f"{home}: this local cloud is another user's", remedy="run as that user") from error


def _parse(home: Path, found: Any) -> Daemon:
    access = Access(
        endpoint=found["grpc"],
        folder_id=found["folder_id"],
        cloud_id=found["cloud_id"],
        zone=found["zone"],
        ca=Path(found["ca"]),
        token=found["token"],
        key_file=Path(found["key_file"]),
        source=f"the local cloud of {home}",
        hand=True,
    )
    return Daemon(found["pid"], found["number"], found["grpc"], found["rest"], access, found.get("oauth_token", ""))


def find(home: Path) -> Daemon | None:
    """The daemon of that home, if its process lives."""
    daemon = read_endpoint(home)
    if daemon is None or not _runs(home, daemon.pid):
        return None
    if proc.state(daemon.pid) in STOPPED:
        raise HostError(
            f"the local cloud's daemon (pid {daemon.pid}) is stopped, and answers nobody",
            remedy=f"resume it: kill -CONT {daemon.pid}; or end it (its machines outlive it): kill -KILL {daemon.pid}",
        )
    return daemon


def is_on_host(home: Path) -> bool:
    """Whether this host holds anything of the cloud of that home, whether or not its daemon runs."""
    if any((home / "machines").glob("*/state.json")):  # of simulated machines
        return True
    return str(home.resolve()) in map(_claimed_by, CLAIMS.glob("[0-9]*"))


def _claimed_by(claim: Path) -> str:
    """Return the home that a claim names; nothing for a claim of another user, which may not be read."""
    try:
        return claim.read_text().removeprefix("fresh:")
    except PermissionError:
        return ""


def running_machines(home: Path) -> list[dict[str, Any]]:
    """The machines of a cloud whose daemon does not run."""
    shown = run([*_command(home), "--show"], env=_environment())
    found: list[dict[str, Any]] = json.loads(shown.stdout)["machines"]
    return found


def take_down(home: Path) -> None:
    """Takes off this host what a daemon that ended has left there."""
    run([*_command(home), "--take-down"], env=_environment(), timeout=STOP_TIMEOUT, logfile=home / LOG)


def silent(daemon: Daemon, home: Path) -> HostError:
    """The error of a daemon that runs and takes no request."""
    return HostError(
        f"the local cloud's daemon (pid {daemon.pid}) runs and does not answer",
        remedy=f"its log is {home / LOG}; end it, and run the command again: kill -KILL {daemon.pid}; "
        "its machines outlive it",
    )


def find_or_start(home: Path) -> Daemon:
    """The daemon of that home, started if need be; HostError shows its log's end where it does not start."""
    if running := find(home):
        return running
    with _alone(home):
        return find(home) or _start(home)


def start(home: Path, options: Sequence[str]) -> Daemon:
    """Starts it with those options of `cloud up`, which the home keeps; HostError where it runs already."""
    with _alone(home, simulated=SIMULATED in options):
        if running := find(home):
            raise HostError(
                f"the local cloud runs already (pid {running.pid}), with the options that it was started with",
                remedy=f"`cloud down`, then `cloud up {' '.join(options)}`: what runs in it comes up again",
            )
        return _start(home, *options)


def wait_until_gone(daemon: Daemon) -> None:
    """Returns when the daemon's process has ended."""
    wait_for(
        f"the local cloud's daemon (pid {daemon.pid}) ends",
        lambda: True if proc.state(daemon.pid) in ENDED else Pending("still running"),
        timeout=STOP_TIMEOUT,
        interval=0.05,
        remedy=f"end it, and run `cloud down` again: kill -KILL {daemon.pid}",
    )


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": str(PACKAGE.parent), VARIABLE: program()}


def _command(home: Path) -> list[str | Path]:
    """With -P: a package of that name in the folder where one happens to be is not ours to run."""
    return [sys.executable, "-P", "-m", "samovar.localcloud", "--home", home]


def _start(home: Path, *options: str) -> Daemon:
    log = home / LOG
    pid = start_detached([*_command(home), *options], logfile=log, env=_environment())

    def probe() -> Daemon | Pending:
        if daemon := find(home):
            return daemon
        code = exit_of(pid)
        if code is not None:
            raise HostError(
                f"the local cloud's daemon ended with {code} instead of starting{_tail(log)}",
                remedy=f"the whole of what it said is in {log}",
            )
        return Pending(f"pid {pid} runs, no endpoint file yet{_tail(log)}")

    return wait_for("the local cloud answers", probe, timeout=START_TIMEOUT, interval=0.02, ceiling=0.2)


@contextmanager
def _alone(home: Path, *, simulated: bool = False) -> Iterator[None]:
    """One start at a time in a home, which is made for it; the lock goes with its holder."""
    if os.geteuid() != 0 and not (simulated or os.access(home / SIMULATION, os.R_OK)):
        raise HostError("the local cloud runs machines, which takes root", remedy="run the command as root")
    require_own(home)
    require_own(cache_dir())
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with exclusive(home / "start.lock", timeout=START_TIMEOUT):
        yield


def _runs(home: Path, pid: int) -> bool:
    """Whether that process is this home's daemon: it holds the home's lock, and a pid is given out again."""
    try:
        inode = (home / "lock").stat().st_ino
    except FileNotFoundError:
        return False
    locks = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    holders = [(lock[4], lock[5].rpartition(":")[2]) for lock in locks if lock[1] == "FLOCK"]
    return (str(pid), str(inode)) in holders


def _tail(log: Path) -> str:
    try:
        with log.open(errors="replace") as lines:
            return "".join(f"\n  | {line.rstrip()}" for line in deque(lines, LAST_LINES))
    except FileNotFoundError:
        return ""
