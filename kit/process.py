"""The one gateway to other processes: each is logged as one can paste it, bounded in time, and its failure says why.

`run` blocks and goes through `sh`. `run_async` is for the local cloud's daemon, which must not fork Python code
in a process full of gRPC threads: it goes through asyncio, which execs at once.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from kit.errors import HostError, ProcessFailed, WaitTimeout

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

log: FilteringBoundLogger = structlog.get_logger(__name__)

LAST_LINES = 12
DEFAULT_TIMEOUT = 60.0


@dataclass(frozen=True)
class Completed:
    """A process that ended well: what it wrote on stdout."""

    stdout: str


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    on_line: Callable[[str], None] | None = None,
    logfile: Path | None = None,
) -> Completed:
    """Runs `argv` to its end. `env` is added to our own; `on_line` gets each line of both streams as it comes.

    With `logfile` everything the process says is appended there and failures name it.
    Raises HostError (no such program), ProcessFailed, or WaitTimeout after `timeout` seconds.
    """
    import sh  # noqa: PLC0415 - 50 ms, and most commands start no process

    command = _pasteable(argv)
    log.debug("run", command=command)
    try:
        program = sh.Command(str(argv[0]))
    except sh.CommandNotFound as error:
        raise _missing(argv) from error
    stdout: list[str] = []
    last: deque[str] = deque(maxlen=LAST_LINES)
    sink = logfile.open("a") if logfile else None

    def hear(line: str) -> None:
        last.append(line.rstrip("\n"))
        if sink:
            sink.write(line)
            sink.flush()
        if on_line:
            on_line(line.rstrip("\n"))

    def hear_stdout(line: str) -> None:
        stdout.append(line)
        hear(line)

    try:
        program(
            *map(str, argv[1:]),
            _in=stdin,
            _env={**os.environ, **(env or {})},
            _cwd=str(cwd) if cwd else None,
            _timeout=timeout,
            _out=hear_stdout,
            _err=hear,
            _tty_out=False,
            _return_cmd=True,
        )
    except sh.TimeoutException as error:
        raise _overdue(command, timeout, last) from error
    except sh.ErrorReturnCode as error:
        raise _failed(command, error.exit_code, last, logfile) from error
    finally:
        if sink:
            sink.close()
    return Completed("".join(stdout))


async def run_async(
    argv: Sequence[str | Path], *, stdin: str | None = None, timeout: float = DEFAULT_TIMEOUT
) -> Completed:
    """The same for the daemon: runs `argv` to its end and returns its stdout; raises as `run` does."""
    command = _pasteable(argv)
    log.debug("run", command=command)
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *map(str, argv), stdin=pipe if stdin is not None else asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
    except FileNotFoundError as error:
        raise _missing(argv) from error
    try:
        async with asyncio.timeout(timeout):
            out, err = await process.communicate(stdin.encode() if stdin is not None else None)
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise _overdue(command, timeout, ()) from error
    if process.returncode:
        raise _failed(command, process.returncode, (out + err).decode(errors="replace").splitlines()[-LAST_LINES:])
    return Completed(out.decode(errors="replace"))


def start_detached(argv: Sequence[str | Path], *, logfile: Path, env: Mapping[str, str] | None = None) -> int:
    """Starts a process that outlives us, in a session of its own, its output appended to `logfile`; returns its pid."""
    log.debug("start", command=_pasteable(argv))
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
        raise _missing(argv) from error


def exit_of(pid: int) -> int | None:
    """How a process of `start_detached` ended; None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _pasteable(argv: Sequence[str | Path]) -> str:
    return shlex.join(map(str, argv))


def _missing(argv: Sequence[str | Path]) -> HostError:
    return HostError(f"{argv[0]}: no such program on this machine", remedy="make setup installs what is needed")


def _overdue(command: str, timeout: float, last: Sequence[str] | deque[str]) -> WaitTimeout:
    return WaitTimeout(f"`{command}` did not end within {timeout:g} s; last line: {last[-1] if last else 'none'}")


def _failed(
    command: str, returncode: int, last: Sequence[str] | deque[str], logfile: Path | None = None
) -> ProcessFailed:
    output = "\n".join(last)
    shown = "".join(f"\n  | {line}" for line in last)
    return ProcessFailed(
        f"`{command}` ended with {returncode}{shown}",
        returncode=returncode,
        output=output,
        remedy=f"the whole of what it said is in {logfile}" if logfile else "",
    )
