"""Raises the kernel's limits while a local cloud is up, and gives them back with the last one on the host.

Each raised limit has a file beside the claims, in /run/samovar: the value before, and the value that was set. A reboot
ends both the files and the values. It is written before the limit is raised, so a daemon that is killed in between
leaves nothing that the next `cloud down` could not put right.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog

from samovar.core.errors import SamovarError
from samovar.core.files import exclusive, write_private
from samovar.core.kernel import LIMITS, MACHINES, PROC, KernelLimit
from samovar.core.local_clouds import CLAIMS
from samovar.core.process import run
from samovar.localcloud.home.numbers import LOCK_TIMEOUT

log = structlog.get_logger(__name__)

MODULES = ("loop", "nf_conntrack")
"""Modules that the kernel would load when they are first used: before that their limits cannot be seen."""


def load_modules() -> None:
    """Load the modules; a kernel that has them built in is left as it is."""
    with suppress(SamovarError):
        run(["modprobe", "--all", "--quiet", *MODULES])


def raise_limits(claims: Path = CLAIMS, proc: Path = PROC) -> None:
    """Raise each limit that is too low for `MACHINES` machines; one that cannot be raised is logged, and stays."""
    with exclusive(claims / "limits.lock", timeout=LOCK_TIMEOUT):
        for limit in LIMITS:
            value = limit.value(proc)
            if value is not None and value < limit.need(MACHINES):
                _raise(limit, value, claims, proc)


def give_back_limits(claims: Path = CLAIMS, proc: Path = PROC) -> None:
    """Set each raised limit to what it was, unless a cloud is up, or somebody has set another value meanwhile."""
    with exclusive(claims / "limits.lock", timeout=LOCK_TIMEOUT):
        if any(claims.glob("[0-9]*")):
            return
        for limit, before, raised in _noted(claims):
            if limit.value(proc) == raised:
                limit.file(proc).write_text(f"{before}\n")
            _note(limit, claims).unlink()


def _raise(limit: KernelLimit, value: int, claims: Path, proc: Path) -> None:
    raised = limit.need(MACHINES)
    write_private(_note(limit, claims), f"{value} {raised}")
    try:
        limit.file(proc).write_text(f"{raised}\n")
    except OSError as error:
        _note(limit, claims).unlink()
        log.warning("a limit of the kernel cannot be raised", limit=limit.name, value=value, error=str(error))


def _noted(claims: Path) -> Iterator[tuple[KernelLimit, int, int]]:
    """Yield each raised limit with the value before and the raised one."""
    for limit in LIMITS:
        if _note(limit, claims).exists():
            before, raised = map(int, _note(limit, claims).read_text().split())
            yield limit, before, raised


def _note(limit: KernelLimit, claims: Path) -> Path:
    return claims / f"limit-{limit.name}"
