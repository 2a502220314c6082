"""The one gateway to other processes: each is logged as one can paste it, bounded in time, and its failure says why.

`run` blocks and goes through `sh`. `run_async` is for the local cloud's daemon, which must not fork Python code
in a process full of gRPC threads: it goes through asyncio, which execs at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samovar.core.errors import HostError, ProcessFailed, WaitTimeout, shown_lines

if TYPE_CHECKING:
    from sh import RunningCommand

log = logging.getLogger(__name__)

LAST_LINES = 12
"""The lines of its output that the error of a process shows."""
DEFAULT_TIMEOUT = 60.0
GRACE = 5.0
ANY_EXIT = tuple(range(-64, 256))  # for sh: we judge exit codes ourselves
# Before a command: if we are killed, so is unshare, and with its first process everything in the namespaces.
IN_NAMESPACES = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
)

_running: dict[int, RunningCommand] = {}


@dataclass(frozen=True)
class Completed:
    """The stdout of a process that ended without an error."""

    stdout: str


class _OutputCapture:
    """Keeps the stdout and the last lines of a process, and passes each line on as it comes."""

    def __init__(self, on_line: Callable[[str], None] | None, logfile: Path | None) -> None:
        self.stdout: list[str] = []
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._on_line = on_line
        self._sink = logfile.open("a") if logfile else None

    def add_stdout(self, line: str) -> None:
        self.stdout.append(line)
        self.add(line)

    def add(self, line: str) -> None:
        self.last.append(line.rstrip("\n"))
        self._write(line)
        if self._on_line:
            self._on_line(line.rstrip("\n"))

    def close(self) -> None:
        if self._sink:
            with suppress(OSError):
                self._sink.close()

    def _write(self, line: str) -> None:
        """A full disk costs the end of the log, not the process, whose last lines are kept."""
        if self._sink:
            with suppress(OSError):
                self._sink.write(line)
                self._sink.flush()


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    on_line: Callable[[str], None] | None = None,
    logfile: Path | None = None,
) -> Completed:
    """Run `argv` to its end. `env` is added to our own; `on_line` gets each line of both streams as it comes.

    With `logfile` all output of the process is appended there and failures name it.
    Raises HostError (it cannot be started), ProcessFailed, or WaitTimeout after `timeout` seconds. After a timeout or
    an interrupt, nothing that it started in its session stays behind.
    """
    command = pasteable(argv)
    log.debug("run %s", command)
    capture = _OutputCapture(on_line, logfile)
    try:
        with _interrupt_held() as release:
            process = _start(argv, capture, stdin=stdin, env=env, cwd=cwd)
            with _bounded(process, timeout) as overdue:
                release()
                process.wait()
    finally:
        capture.close()
    if overdue.is_set():
        raise _overdue(command, timeout, capture.last)
    if process.exit_code:
        raise _failed(command, process.exit_code, capture.last, logfile)
    return Completed("".join(capture.stdout))


def _start(
    argv: Sequence[str | Path], capture: _OutputCapture, *, stdin: str, env: Mapping[str, str] | None, cwd: Path | None
) -> RunningCommand:
    import sh  # noqa: PLC0415 - 50 ms, and most commands start no process

    try:
        return sh.Command(str(argv[0]))(
            *map(str, argv[1:]),
            _in=stdin,
            _env={**os.environ, **(env or {})},
            _cwd=str(cwd) if cwd else None,
            _out=capture.add_stdout,
            _err=capture.add,
            _decode_errors="replace",
            _tty_out=False,
            _new_session=True,
            _bg=True,
            _bg_exc=False,
            _ok_code=ANY_EXIT,
        )
    except sh.CommandNotFound as error:
        raise missing_program(argv) from error
    except sh.ForkException as error:  # it holds the child's traceback
        raise _unstartable(argv, str(error).strip().splitlines()[-1].strip()) from error


@contextmanager
def _interrupt_held() -> Iterator[Callable[[], None]]:
    """An interrupt that comes while a process is being started is raised by what is given here, once it can be ended.

    A mask would be inherited by the process; a handler is not.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    interrupted = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set())

    def release() -> None:
        signal.signal(signal.SIGINT, before)
        if interrupted.is_set():
            raise KeyboardInterrupt

    try:
        yield release
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _bounded(process: RunningCommand, timeout: float) -> Iterator[threading.Event]:
    """End the process after `timeout` seconds, which the event tells, or when we are interrupted.

    sh's own timeout looks every 0.1 s, so that the shortest process takes that long, and spares the children.
    """
    overdue = threading.Event()

    def end() -> None:
        overdue.set()
        _end(process)

    timer = threading.Timer(timeout, end)
    timer.start()
    _running[process.pid] = process
    try:
        yield overdue
    except BaseException:
        _end(process)
        raise
    finally:
        del _running[process.pid]
        timer.cancel()
        timer.join()


def end_running() -> None:
    """End the processes that `run` waits for in other threads: only the main thread gets an interrupt."""
    for process in tuple(_running.values()):
        _end(process)


def _end(process: RunningCommand) -> None:
    """Ask the process's session to end, and kill what is left of it after GRACE seconds."""
    _signal_session(process.pid, signal.SIGTERM)
    killer = threading.Timer(GRACE, _signal_session, (process.pid, signal.SIGKILL))
    killer.start()
    process.wait()
    killer.cancel()
    _signal_session(process.pid, signal.SIGKILL)


def _signal_session(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


async def run_async(argv: Sequence[str | Path], *, stdin: str = "", timeout: float = DEFAULT_TIMEOUT) -> Completed:
    """Do the same for the daemon: run `argv` to its end and return its stdout; raise as `run` does."""
    command = pasteable(argv)
    log.debug("run %s", command)
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *map(str, argv), stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except FileNotFoundError as error:
        raise missing_program(argv) from error
    except OSError as error:
        raise _unstartable(argv, str(error)) from error
    try:
        out, err = await _communicate(process, stdin, timeout)
    except TimeoutError as error:
        raise _overdue(command, timeout, ()) from error
    if process.returncode:
        raise _failed(command, process.returncode, (out + err).decode(errors="replace").splitlines()[-LAST_LINES:])
    return Completed(out.decode(errors="replace"))


async def _communicate(process: asyncio.subprocess.Process, stdin: str, timeout: float) -> tuple[bytes, bytes]:
    try:
        async with asyncio.timeout(timeout):
            return await process.communicate(stdin.encode())
    except BaseException:  # overdue or cancelled
        _signal_session(process.pid, signal.SIGKILL)
        await process.wait()
        raise


def pasteable(argv: Sequence[str | Path]) -> str:
    """Return a command as one can paste it into a shell."""
    return shlex.join(map(str, argv))


def missing_program(argv: Sequence[str | Path]) -> HostError:
    """Return the error of a program that this machine does not have."""
    return HostError(f"{argv[0]}: no such program on this machine", remedy="make setup installs what is needed")


def _unstartable(argv: Sequence[str | Path], why: str) -> HostError:
    return HostError(f"{argv[0]}: cannot be started: {why}")


def _overdue(command: str, timeout: float, last: Sequence[str] | deque[str]) -> WaitTimeout:
    return WaitTimeout(f"`{command}` did not end within {timeout:g} s; last line: {last[-1] if last else 'none'}")


def _failed(
    command: str, returncode: int, last: Sequence[str] | deque[str], logfile: Path | None = None
) -> ProcessFailed:
    output = "\n".join(last)
    return ProcessFailed(
        f"`{command}` ended with {returncode}{shown_lines(last)}",
        returncode=returncode,
        output=output,
        remedy=f"full output: {logfile}" if logfile else "",
    )
