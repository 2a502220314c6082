"""Finds the local cloud's daemon by its endpoint file, and starts it where none runs."""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path

from samovar.cloud.connection import Access
from samovar.cloud.local_admin import MachineStatus
from samovar.core import proc
from samovar.core.constants import MIB
from samovar.core.errors import HostError, shown_lines
from samovar.core.files import exclusive
from samovar.core.local_clouds import (
    CLAIMS,
    ENDPOINT_FILE,
    LOCK_FILE,
    LOG_FILE,
    SIMULATION_FILE,
    START_LOCK_FILE,
    Endpoint,
    read_claims,
)
from samovar.core.paths import cache_dir, require_linux, require_own
from samovar.core.process import LAST_LINES, run
from samovar.core.spawn import exit_of, module_command, module_environment, start_detached
from samovar.core.waiting import Pending, wait_for

STOPPED = frozenset("Tt")
ENDED = frozenset(("", "Z", "X"))
START_TIMEOUT = 180.0
STOP_TIMEOUT = 120.0
LEAST_SPACE = MIB
"""Bytes without which a daemon cannot start: it writes its store, a backup of it, and a log."""
SIMULATED = "simulated"


@dataclass(frozen=True)
class Daemon:
    """A daemon, as its endpoint file describes it."""

    pid: int
    number: int
    grpc: str
    rest: str
    access: Access
    oauth_token: str = field(default="", repr=False)


def read_endpoint(home: Path) -> Daemon | None:
    """Return the daemon of the endpoint file; None where there is no such file, or a power cut tore it."""
    try:
        written = json.loads((home / ENDPOINT_FILE).read_text())
        own = {each.name: written[each.name] for each in fields(Endpoint) if each.name in written}
        return _daemon(home, Endpoint(**own))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    except PermissionError as error:
        raise HostError(f"{home}: this local cloud is another user's", remedy="run as that user") from error


def _daemon(home: Path, endpoint: Endpoint) -> Daemon:
    access = Access(
        endpoint=endpoint.grpc,
        folder_id=endpoint.folder_id,
        cloud_id=endpoint.cloud_id,
        zone=endpoint.zone,
        ca=Path(endpoint.ca),
        token=endpoint.token,
        key_file=Path(endpoint.key_file),
        source=f"the local cloud of {home}",
        local=True,
    )
    return Daemon(endpoint.pid, endpoint.number, endpoint.grpc, endpoint.rest, access, endpoint.oauth_token)


def find(home: Path) -> Daemon | None:
    """Return the daemon of that home, if it runs. Raises HostError where it is stopped."""
    daemon = read_endpoint(home)
    if daemon is None or not _runs(home, daemon.pid):
        return None
    if proc.state(daemon.pid) in STOPPED:
        raise HostError(
            f"the local cloud's daemon (pid {daemon.pid}) is stopped, and does not answer",
            remedy=f"resume it: kill -CONT {daemon.pid}; or end it (its machines outlive it): kill -KILL {daemon.pid}",
        )
    return daemon


def is_on_host(home: Path) -> bool:
    """Return whether anything of the cloud of that home is on this host, whether or not its daemon runs."""
    if any((home / "machines").glob("*/state.json")):  # of simulated machines
        return True
    return any(holder == str(home.resolve()) for holder, _ in read_claims(CLAIMS).values())


def running_machines(home: Path) -> Sequence[MachineStatus]:
    """Return the machines of a cloud whose daemon does not run."""
    shown = run([*_command(home), "--show"], env=module_environment())
    machines: Sequence[MachineStatus] = json.loads(shown.stdout)["machines"]
    return machines


def take_down(home: Path) -> None:
    """Remove from this host what a daemon that ended has left there, also where its home was removed meanwhile."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    run([*_command(home), "--take-down"], env=module_environment(), timeout=STOP_TIMEOUT, logfile=home / LOG_FILE)


def unresponsive(daemon: Daemon, home: Path) -> HostError:
    """Return the error of a daemon that runs and does not answer."""
    return HostError(
        f"the local cloud's daemon (pid {daemon.pid}) runs and does not answer",
        remedy=f"its log is {home / LOG_FILE}; end it, and run the command again: kill -KILL {daemon.pid}; "
        "its machines outlive it",
    )


def find_or_start(home: Path) -> Daemon:
    """Return the daemon of that home, and start it if need be. HostError shows the end of its log."""
    if running := find(home):
        return running
    with _start_lock(home):
        return find(home) or _start(home)


def start(home: Path, options: Sequence[str]) -> Daemon:
    """Start the daemon with options of `cloud up`, which the home keeps. Raises HostError where it runs already."""
    with _start_lock(home, simulated=SIMULATED in options):
        if running := find(home):
            raise HostError(
                f"the local cloud runs already (pid {running.pid}), with the options that it was started with",
                remedy=f"`cloud down`, then `cloud up {' '.join(options)}`: what runs in it comes up again",
            )
        return _start(home, *options)


def wait_for_end(daemon: Daemon) -> None:
    """Return when the daemon's process has ended."""
    wait_for(
        f"the local cloud's daemon (pid {daemon.pid}) to end",
        lambda: True if proc.state(daemon.pid) in ENDED else Pending("still running"),
        timeout=STOP_TIMEOUT,
        interval=0.05,
        remedy=f"end it, and run `cloud down` again: kill -KILL {daemon.pid}",
    )


def _command(home: Path) -> list[str | Path]:
    return module_command("samovar.localcloud", "--home", home)


def _start(home: Path, *options: str) -> Daemon:
    require_linux("the local cloud", "run it in a Linux machine, such as one of Lima; or set `cloud: yandex`")
    log = home / LOG_FILE
    pid = start_detached([*_command(home), *options], logfile=log, env=module_environment())

    def probe() -> Daemon | Pending:
        if daemon := find(home):
            return daemon
        code = exit_of(pid)
        if code is not None:
            raise _not_started(home, f"ended with {code} instead of starting{_tail(log)}")
        return Pending(f"pid {pid} runs, no endpoint file yet{_tail(log)}")

    return wait_for("the local cloud to answer", probe, timeout=START_TIMEOUT, interval=0.02, ceiling=0.05)


def _not_started(home: Path, what: str) -> HostError:
    """Return the error of a daemon that did not start. On a full disk its log lacks the reason."""
    if shutil.disk_usage(home).free < LEAST_SPACE:
        full = f"no space is left on the disk of {home}"
        return HostError(f"{full}, and the local cloud's daemon {what}", remedy="make room there, and start it again")
    return HostError(f"the local cloud's daemon {what}", remedy=f"full output: {home / LOG_FILE}")


@contextmanager
def _start_lock(home: Path, *, simulated: bool = False) -> Iterator[None]:
    """Hold the lock of starts in a home, which is created for it."""
    if os.geteuid() != 0 and not (simulated or os.access(home / SIMULATION_FILE, os.R_OK)):
        raise HostError("the local cloud runs machines, which takes root", remedy="run the command as root")
    require_own(home)
    require_own(cache_dir())
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with exclusive(home / START_LOCK_FILE, timeout=START_TIMEOUT):
        yield


def _runs(home: Path, pid: int) -> bool:
    """Return whether a process is this home's daemon, which holds the home's lock: pids are reused.

    The kernel tells the locks of a process with its descriptors. /proc/locks has those of the whole host, and lacks
    some when others come and go while it is read.
    """
    try:
        inode = (home / LOCK_FILE).stat().st_ino
        descriptors = sorted(Path(f"/proc/{pid}/fdinfo").iterdir(), key=lambda descriptor: int(descriptor.name))
    except FileNotFoundError:
        return False
    return any(_locks(descriptor, inode) for descriptor in descriptors)


def _locks(descriptor: Path, inode: int) -> bool:
    """Return whether that descriptor of a process, in /proc, holds the lock of a file."""
    with suppress(FileNotFoundError, ProcessLookupError):  # it was closed meanwhile, or its process has ended
        lines = (line.split() for line in descriptor.read_text().splitlines())
        return any(line[0] == "lock:" and line[2] == "FLOCK" and line[6].endswith(f":{inode}") for line in lines)
    return False


def _tail(log: Path) -> str:
    try:
        with log.open(errors="replace") as lines:
            return shown_lines(line.rstrip() for line in deque(lines, LAST_LINES))
    except FileNotFoundError:
        return ""
