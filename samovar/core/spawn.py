"""Starts processes that `process.run` does not wait for: with our terminal, read line by line, or outliving us."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from samovar.core.errors import PROGRAM_VARIABLE, ProcessFailed, program
from samovar.core.paths import PACKAGE
from samovar.core.process import missing_program, pasteable

log = logging.getLogger(__name__)


def run_attached(argv: Sequence[str | Path]) -> int:
    """Give a process our own terminal until it ends, however long that takes, and return its exit code."""
    log.debug("run %s", pasteable(argv))
    try:
        pid = os.posix_spawnp(str(argv[0]), [*map(str, argv)], os.environ)
    except FileNotFoundError as error:
        raise missing_program(argv) from error
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def output_lines(argv: Sequence[str | Path]) -> Iterator[str]:
    """Yield the lines that a process prints, as they come. Raises ProcessFailed where it ends with an error.

    What it writes to stderr goes to ours.
    """
    command = pasteable(argv)
    log.debug("run %s", command)
    try:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    except FileNotFoundError as error:
        raise missing_program(argv) from error
    with process:
        for line in process.stdout or ():
            yield line.rstrip("\n")
    if process.returncode:
        message = f"{command} ended with {process.returncode}"
        raise ProcessFailed(message, returncode=process.returncode, output="")


@contextmanager
def started(argv: Sequence[str | Path], env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process whose output nobody reads, and kill it on the way out."""
    log.debug("start %s", pasteable(argv))
    null = subprocess.DEVNULL
    with subprocess.Popen(argv, env={**os.environ, **env}, stdin=null, stdout=null, stderr=null) as process:  # noqa: S603 - ours
        try:
            yield process
        finally:
            process.kill()


def start_detached(argv: Sequence[str | Path], *, logfile: Path, env: Mapping[str, str] | None = None) -> int:
    """Start a process that outlives us, in a session of its own, with its output in `logfile`, and return its pid."""
    log.debug("start %s", pasteable(argv))
    try:
        return os.posix_spawn(
            str(argv[0]),
            [*map(str, argv)],
            {**os.environ, **(env or {})},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(logfile), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
    except FileNotFoundError as error:
        raise missing_program(argv) from error


def exit_of(pid: int) -> int | None:
    """Return the exit code of a process of `start_detached`; None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def module_command(module: str, *words: str | Path) -> list[str | Path]:
    """Return the command that runs a module of this program, in the environment of `module_environment`.

    The option -P keeps a package of that name in the working directory from being run.
    """
    return [sys.executable, "-P", "-m", module, *words]


def module_environment() -> dict[str, str]:
    """Return the variables by which another process finds this program, and calls it by the same name."""
    return {"PYTHONPATH": str(PACKAGE.parent), PROGRAM_VARIABLE: program()}
