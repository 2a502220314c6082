"""Checks that no image carries an identity, a trace of its making, or anything of the machine that it was baked on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SCRATCH = ("/tmp", "/var/tmp", "/run")  # noqa: S108 - looked at, not used
JOURNALS = "/var/log/journal"
KEYS = r"\( -name 'ssh_host_*' -o -name authorized_keys -o -name '.*_history' \)"
LOGS = "/var/log"
APT_LISTS, APT_CACHE = "/var/lib/apt/lists", "/var/cache/apt"
IDENTITY = ("/etc/hostname", "/var/lib/dbus/machine-id", "/usr/sbin/policy-rc.d")
STUB = "../run/systemd/resolve/stub-resolv.conf"


def hygiene(host: Any) -> Iterator[str]:
    """Yield one line for each fault that `host`, a host of testinfra, has."""
    for probe in (_identity, _keys, _scratch, _logs, _apt, _cloud_init, _names):
        yield from probe(host)


def _identity(host: Any) -> Iterator[str]:
    machine_id = host.file("/etc/machine-id")
    if not machine_id.exists or machine_id.size:
        yield "/etc/machine-id: must be there and empty, or machines share an identity"
    for path in IDENTITY:
        if host.file(path).exists:
            yield f"{path}: must not be there"
    yield from (f"{path}: named after a machine" for path in _find(host, JOURNALS, "-mindepth 1"))


def _keys(host: Any) -> Iterator[str]:
    paths = _find(host, "/etc/ssh /root /home", KEYS)
    yield from (f"{path}: a key or a history must not be in an image" for path in paths)


def _scratch(host: Any) -> Iterator[str]:
    paths = _find(host, " ".join(SCRATCH), "-mindepth 1")
    yield from (f"{path}: left behind" for path in paths)


def _logs(host: Any) -> Iterator[str]:
    yield from (f"{path}: a log of the bake" for path in _find(host, LOGS, "-type f"))


def _apt(host: Any) -> Iterator[str]:
    paths = _find(host, f"{APT_LISTS} {APT_CACHE}", "-type f")
    yield from (f"{path}: package lists and packages stay out of an image" for path in paths)


def _cloud_init(host: Any) -> Iterator[str]:
    yield from (f"{path}: cloud-init has run" for path in _find(host, "/var/lib/cloud", "-mindepth 1"))


def _names(host: Any) -> Iterator[str]:
    link = host.run("readlink /etc/resolv.conf").stdout.strip()
    if link != STUB:
        yield f"/etc/resolv.conf: must be a link to {STUB}, not {link or 'a file'}"


def _find(host: Any, where: str, what: str) -> list[str]:
    return sorted(host.run(f"find {where} -xdev {what} 2>/dev/null").stdout.splitlines())
