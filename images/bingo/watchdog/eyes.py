"""What the watchdog sees of bingo and of its machine."""

from __future__ import annotations

import os
import pwd
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from .judge import Ping, Sight

USER = "bingo"
TIMEOUT = 2.0
OK = 200
ESTABLISHED = "01"
PAGE = os.sysconf("SC_PAGE_SIZE")
SOCKETS = Path("/proc/net/tcp")


def look(port: int, logs: Path) -> Sight:
    """Everything at once; the ping may take TIMEOUT seconds, and its answer is as of now."""
    found = ping(port)
    return Sight(time.monotonic(), found, memory(USER), free(logs), random.random())  # noqa: S311 - no secret


def ping(port: int) -> Ping:
    """Past the proxy, which would hide what is to be seen."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/ping")
        response = connection.getresponse()
        response.read()
    except TimeoutError:
        return Ping.SILENT
    except (OSError, HTTPException):
        return Ping.GONE
    finally:
        connection.close()
    return Ping.WELL if response.status == OK else Ping.BAD


def memory(user: str) -> int:
    """The bytes that all processes of the user hold in memory."""
    return sum(_resident(process) for process in _processes(pwd.getpwnam(user).pw_uid))


def machine_memory() -> int:
    """The bytes that the machine was given; a container's system calls would tell those of its host."""
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    return int(total.split()[1]) << 10


def free(folder: Path) -> float:
    """The part of the folder's disk that is free for users; of inodes, where there are fewer."""
    disk = os.statvfs(folder)
    inodes = disk.f_favail / disk.f_files if disk.f_files else 1.0
    return min(disk.f_bavail / disk.f_blocks, inodes)


def in_flight(port: int) -> int:
    """How many requests bingo has: the proxy opens a connection for each. The fields are those of proc(5)."""
    lines = [line.split() for line in SOCKETS.read_text().splitlines()[1:]]
    return sum(line[2].endswith(f":{port:04X}") and line[3] == ESTABLISHED for line in lines)


def _processes(uid: int) -> Iterator[Path]:
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and process.stat().st_uid == uid:
                yield process


def _resident(process: Path) -> int:
    """None of one that has just ended."""
    with suppress(OSError, IndexError):
        return int((process / "statm").read_text().split()[1]) * PAGE
    return 0
