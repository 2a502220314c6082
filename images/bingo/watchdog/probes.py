"""Probes bingo and its machine: its answer, its memory, the free disk, the requests in flight."""

from __future__ import annotations

import os
import pwd
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from .policy import Observation, Ping

USER = "bingo"
TIMEOUT = 2.0
OK = 200
ESTABLISHED, SYN_SENT, LISTEN = "01", "02", "0A"
PAGE = os.sysconf("SC_PAGE_SIZE")
SOCKETS = Path("/proc/net")


def observe(port: int, logs: Path) -> Observation:
    """Run all probes. The ping may take TIMEOUT seconds; the time is taken after it."""
    answer = ping(port)
    return Observation(time.monotonic(), answer, memory(USER), free(logs), random.random())  # noqa: S311 - no secret


def ping(port: int) -> Ping:
    """Ask bingo itself: the proxy would hide a failure."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/ping")
        response = connection.getresponse()
        response.read()
    except TimeoutError:
        return Ping.TIMEOUT
    except (OSError, HTTPException):
        return Ping.UNREACHABLE
    finally:
        connection.close()
    return Ping.OK if response.status == OK else Ping.ERROR


def memory(user: str) -> int:
    """Return the resident bytes of all processes of the user."""
    return sum(_resident(process) for process in _processes(pwd.getpwnam(user).pw_uid))


def machine_memory() -> int:
    """Return the bytes of the machine. In a container the system calls would return those of the host."""
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    return int(total.split()[1]) << 10


def free(folder: Path) -> float:
    """Return the share of the folder's disk that is free for users; that of inodes if it is smaller."""
    disk = os.statvfs(folder)
    inodes = disk.f_favail / disk.f_files if disk.f_files else 1.0
    return min(disk.f_bavail / disk.f_blocks, inodes)


def in_flight(port: int) -> int:
    """Return the number of requests that bingo serves or will get: the proxy opens a connection for each, over IPv4."""
    return sum(line[2].endswith(f":{port:04X}") and line[3] in {ESTABLISHED, SYN_SENT} for line in _sockets("tcp"))


def listener(port: int) -> str | None:
    """Return the inode of the socket on which bingo takes connections; it is another one in each run."""
    lines = [*_sockets("tcp"), *_sockets("tcp6")]
    return next((line[9] for line in lines if line[1].endswith(f":{port:04X}") and line[3] == LISTEN), None)


def _sockets(family: str) -> list[list[str]]:
    """Return the lines of proc(5)'s table: local and remote address, state and inode are at 1, 2, 3 and 9."""
    file = SOCKETS / family
    return [line.split() for line in file.read_text().splitlines()[1:]] if file.exists() else []


def _processes(uid: int) -> Iterator[Path]:
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and process.stat().st_uid == uid:
                yield process


def _resident(process: Path) -> int:
    """Return the resident bytes of a process; 0 if it has just ended."""
    with suppress(OSError, IndexError):
        return int((process / "statm").read_text().split()[1]) * PAGE
    return 0
