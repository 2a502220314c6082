"""Network namespaces: opens sockets, writes settings and reads flags inside one of them.

setns changes the calling thread alone, so each visit is a thread of its own that ends where it went.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

from samovar.core import proc
from samovar.core.errors import HostError
from samovar.localcloud.network.names import NETNS_DIR

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8913, 0x8914, 0x1, 0x40
INTERFACE_REQUEST = "16sH22x"
"""struct ifreq with its flags."""
SYSCTL = Path("/proc/sys/net")
_libc = ctypes.CDLL(None, use_errno=True)


def inside(namespace: str, visit: Callable[[], T]) -> T:
    """Call `visit` in the network namespace of that name or path and return its result. It must take microseconds."""
    outcome: Future[T] = Future()

    def go() -> None:
        try:
            _enter(namespace)
            outcome.set_result(visit())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            outcome.set_exception(error)

    thread = threading.Thread(target=go, name=f"in {namespace}", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise HostError(f"network namespace {namespace}: {error}") from error
    thread.join()
    return outcome.result()


def _enter(namespace: str) -> None:
    try:
        handle = os.open(NETNS_DIR / namespace, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise HostError(f"there is no network namespace {namespace}") from error
    try:
        if _libc.setns(handle, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise HostError(f"network namespace {namespace}: {os.strerror(number)}")
    finally:
        os.close(handle)


def open_socket(namespace: str, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    """Return a socket that lives in the namespace, from whichever thread it is used; not blocking."""
    opened = inside(namespace, partial(socket.socket, family, kind))
    opened.setblocking(False)  # noqa: FBT003 - its only argument
    return opened


def write_sysctls(settings: Mapping[str, str], namespace: str | None = None) -> None:
    """Write settings below /proc/sys/net, of our own namespace or another. Those that the kernel lacks are skipped."""

    def write() -> None:
        for key, value in settings.items():
            path = SYSCTL / key
            if path.exists() and path.read_text().strip() != value:
                path.write_text(value)

    if namespace:
        inside(namespace, write)
    else:
        write()


def bring_up(interface: str, namespace: str) -> None:
    """Set an interface up."""

    def set_flag() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            request = struct.pack(INTERFACE_REQUEST, interface.encode(), _flags(control, interface) | IFF_UP)
            fcntl.ioctl(control, SIOCSIFFLAGS, request)

    inside(namespace, set_flag)


def not_running(interfaces: Iterable[str], namespace: str) -> tuple[str, ...]:
    """Return the interfaces that carry no packets yet: they or their peers are not up."""

    def read_flags() -> tuple[str, ...]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            return tuple(name for name in interfaces if not _flags(control, name) & IFF_RUNNING)

    return inside(namespace, read_flags)


def _flags(control: socket.socket, interface: str) -> int:
    answer = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack(INTERFACE_REQUEST, interface.encode(), 0))
    flags: int = struct.unpack(INTERFACE_REQUEST, answer)[1]
    return flags


def existing(prefix: str) -> frozenset[str]:
    """Return the names of the network namespaces that begin with the prefix."""
    return frozenset(path.name for path in NETNS_DIR.glob(f"{prefix}*"))


def is_mounted(namespace: str) -> bool:
    """Return False for a mere file of that name, which is left when `ip netns` was killed between its two steps."""
    path = NETNS_DIR / namespace
    return path.exists() and path.stat().st_dev != NETNS_DIR.stat().st_dev


def processes_in(namespace: str) -> frozenset[int]:
    """Return the numbers of the processes in the namespace."""
    return frozenset(pid for pid in proc.pids() if lives_in(pid, namespace))


def lives_in(pid: int, namespace: str) -> bool:
    """Return whether the process exists and is in that namespace."""
    try:
        return (NETNS_DIR / namespace).samefile(f"/proc/{pid}/ns/net")
    except OSError:
        return False
