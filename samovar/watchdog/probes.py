"""Probes an application and its machine: answer, processes, free disk, requests in flight, and why it is not well."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from glob import glob
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from .config import ALIAS, Config
from .policy import Observation, Ping

TIMEOUT = 2.0
SETTLED = 15.0
"""Seconds for which a process without a port must have lived that systemd has started again: it may well end again."""
ESTABLISHED, SYN_SENT, LISTEN = "01", "02", "0A"
ENDED = "Z"
"""The state of a process that has ended, and nobody knows yet."""
PAGE, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
SOCKETS = Path("/proc/net")
UNSHARED = frozenset({"Pss_Anon:", "Pss_Shmem:"})
INVOCATIONS = Path("/run/systemd/units")
LOCALHOST = "0100007F"
"""127.0.0.1, as proc(5) writes it."""
COMMAND_TIMEOUT = 10.0
Log = Callable[[str], None]
LINES, LONGEST = 5, 600
"""Of what it printed last: this many lines, and characters of all of them."""
SPAWN_FAILED = "641257651c1b4ec9a8624d7a40a9e1e7"  # pragma: allowlist secret - a public constant
"""SD_MESSAGE_SPAWN_FAILED (sd-messages.h): what systemd says of a program that it cannot execute, and why."""
ANSWERS = {Ping.ERROR: "it answers an error at {}", Ping.TIMEOUT: "it does not answer at {}"}


def observe(config: Config, log: Log) -> Observation:
    """Run all probes. The ping may take TIMEOUT seconds; the time is taken after it."""
    pids = processes(config.unit)
    answer = _ping(config, pids, log)
    return Observation(
        at=time.monotonic(),
        ping=answer,
        run=invocation(config.unit) if pids else 0,
        memory=memory(pids, config.limits.memory),
        free=free(config.log_files),
        jitter=random.random(),  # noqa: S311 - no secret
    )


def _ping(config: Config, pids: Sequence[int], log: Log) -> Ping:
    if config.port:
        return ask(config.port, config.health)
    if config.scheduled:
        return Ping.OK
    return judge(max(map(age, pids), default=0.0), config.stable, lambda: restarts(log))


def judge(lasted: float, stable: float, restarts: Callable[[], int]) -> Ping:
    """Return how an application without a port is whose run has lasted so long; its first run is well once `stable`."""
    if lasted >= SETTLED:
        return Ping.OK
    return Ping.UP if lasted >= stable and not restarts() else Ping.UNREACHABLE


def ask(port: int, path: str) -> Ping:
    """Ask the application itself: the proxy would hide a failure. Without a path a connection is a good answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.connect()
        return _answer(connection, path) if path else Ping.OK
    except TimeoutError:
        return Ping.TIMEOUT
    except (OSError, HTTPException):
        return Ping.UNREACHABLE
    finally:
        connection.close()


def _answer(connection: HTTPConnection, path: str) -> Ping:
    """Return how it answers. A page without an end is not read to its end."""
    connection.request("GET", path)
    response = connection.getresponse()
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline and response.read1():
        pass
    return Ping.OK if response.status < HTTPStatus.BAD_REQUEST else Ping.ERROR


def last_run(log: Log) -> tuple[str, str]:
    """Return the invocation id and the `ActiveState` of the unit; two empty texts where systemd does not tell."""
    shown = run(log, "systemctl", "show", "--property=InvocationID,ActiveState", ALIAS.name)
    values = dict(line.split("=", 1) for line in shown.splitlines())
    return values.get("InvocationID", ""), values.get("ActiveState", "")


def restarts(log: Log) -> int:
    """Return how often systemd has started the application again since it was last well, or started by someone."""
    return int(run(log, "systemctl", "show", "--property=NRestarts", "--value", ALIAS.name).strip() or 0)


def invocation(unit: str) -> int:
    """Return the number that systemd gave the present run of the unit, the last one where none runs; 0 without any."""
    with suppress(OSError, ValueError):
        return int(str((INVOCATIONS / f"invocation:{unit}").readlink()), 16)
    return 0


def processes(unit: str) -> list[int]:
    """Return the ids of all processes of the unit."""
    return [int(process.name) for process in Path("/proc").iterdir() if _belongs(process, f"/{unit}")]


def age(pid: int) -> float:
    """Return the seconds since the process began; 0 if it has just ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / TICKS
    return 0.0


def lives(pid: int) -> bool:
    """Return whether a process has not ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != ENDED
    return False


def machine_memory() -> int:
    """Return the bytes of the machine. In a container the system calls would return those of the host."""
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    return int(total.split()[1]) << 10


def free(log_files: Sequence[str]) -> float:
    """Return the share that is free for users of the fullest disk: that of the machine, or one that holds logs."""
    folders = {str(Path(file).parent) for pattern in log_files for file in glob(pattern)}  # noqa: PTH207 - absolute
    return min(map(_free, {"/", *folders}))


def _free(folder: str) -> float:
    """Return the share of the folder's disk that is free; that of inodes if it is smaller."""
    disk = os.statvfs(folder)
    inodes = disk.f_favail / disk.f_files if disk.f_files else 1.0
    return min(disk.f_bavail / disk.f_blocks, inodes)


def in_flight(port: int) -> int:
    """Return how many requests the application serves or will get: the proxy opens a connection for each, over IPv4."""
    return sum(line[2] == f"{LOCALHOST}:{port:04X}" and line[3] in {ESTABLISHED, SYN_SENT} for line in _sockets("tcp"))


def ports(pids: Sequence[int]) -> list[int]:
    """Return the ports on which processes take connections."""
    own = {inode for pid in pids for inode in _inodes(pid)}
    return sorted({int(line[1].rpartition(":")[2], 16) for line in _listening() if line[9] in own})


def _listening() -> list[list[str]]:
    return [line for line in (*_sockets("tcp"), *_sockets("tcp6")) if line[3] == LISTEN]


def _inodes(pid: int) -> Iterator[str]:
    """Yield the inodes of the sockets that a process has open."""
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]")


def _sockets(family: str) -> list[list[str]]:
    """Return the lines of proc(5)'s table: local and remote address, state and inode are at 1, 2, 3 and 9."""
    file = SOCKETS / family
    return [line.split() for line in file.read_text().splitlines()[1:]] if file.exists() else []


def _belongs(process: Path, group: str) -> bool:
    """Return whether a process is in that control group or in one below it."""
    with suppress(OSError):
        if process.name.isdigit():
            return f"{group}/" in (process / "cgroup").read_text().replace("\n", "/")
    return False


def memory(pids: Sequence[int], limit: int) -> int:
    """Return the bytes of the processes. Where they seem more than the limit they are counted with care, which is slow.

    Then what processes share counts once, and the pages of files that the kernel drops where it lacks memory do not.
    """
    resident = sum(map(_resident, pids))
    return resident if resident <= limit else sum(map(_unshared, pids))


def _unshared(pid: int) -> int:
    """Return the bytes of a process without pages of files, and its share of what it has with others."""
    with suppress(OSError):
        lines = map(str.split, Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
        return sum(int(line[1]) << 10 for line in lines if line[0] in UNSHARED)
    return _resident(pid)


def _resident(pid: int) -> int:
    """Return the resident bytes of a process; 0 if it has just ended."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return 0


def run(log: Log, *command: str) -> str:
    """Run a command and return its output; what fails is logged, and its output is empty."""
    try:
        done = subprocess.run(  # noqa: S603 - the image's own commands
            command, check=False, capture_output=True, text=True, errors="replace", timeout=COMMAND_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log(f"{' '.join(command)}: {error}")
        return ""
    if done.returncode:
        log(f"{' '.join(command)}: ended with {done.returncode}: {done.stderr.strip()}")
        return ""
    return done.stdout


def diagnose(config: Config, log: Log) -> str:
    """Return what is known of the application, in one line."""
    shown = ("--quiet", "--no-pager", "--output=cat", f"--lines={LINES}")
    unit = f"_SYSTEMD_UNIT={config.unit}"
    printed = run(log, "journalctl", *shown, unit, "_TRANSPORT=stdout", "+", unit, f"MESSAGE_ID={SPAWN_FAILED}")
    wrong = ANSWERS.get(ask(config.port, config.health), "").format(config.health or "its port") if config.port else ""
    return describe(config.port, restarts(log), ports(processes(config.unit)), wrong, printed)


def describe(port: int, restarts: int, listens: Sequence[int], wrong: str, printed: str) -> str:
    """Return the facts in one line. `port` is where it should listen, 0 for nowhere; `wrong` tells of its answer."""
    facts = [f"it was started again {'once' if restarts == 1 else f'{restarts} times'}"] if restarts else []
    facts += [wrong] if wrong else []
    if port and port not in listens:
        at = ", ".join(map(str, listens))
        facts.append(f"it listens at {at}, and not at {port}" if at else f"it does not listen at {port}")
    lines = dict.fromkeys(line.strip() for line in printed.splitlines() if line.strip())
    text = " | ".join(lines)[-LONGEST:]
    return "; ".join((*facts, f"it printed last: {text}" if text else "it printed nothing"))
