"""The process gateway: what an operator reads when a program fails, hangs or is missing, and what is left of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from samovar.core.errors import ExitCode, HostError, ProcessFailed, WaitTimeout
from samovar.core.process import LAST_LINES, Completed, end_running, run, run_async
from samovar.core.spawn import exit_of, start_detached
from samovar.core.waiting import Pending, wait_for, wait_for_async
from tests.support.checkout import ROOT

Gateway = Callable[..., Completed]


def blocking_async(argv: list[str], *, stdin: str = "", timeout: float = 60.0) -> Completed:
    return asyncio.run(run_async(argv, stdin=stdin, timeout=timeout))


@pytest.fixture(params=[run, blocking_async], ids=["run", "run_async"])
def gateway(request: pytest.FixtureRequest) -> Gateway:
    actual: Gateway = request.param
    return actual


def runs(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(pids: Path) -> None:
    running = Pending("some of them run")
    wait_for(f"end of {pids.read_text()}", lambda: running if any(map(runs, pids_in(pids))) else (), timeout=5)


def pids_in(path: Path) -> list[int]:
    return [int(pid) for pid in path.read_text().split()]


def written(pids: Path) -> bool | Pending:
    return (pids.exists() and pids.read_text().endswith("\n")) or Pending("no pids")


def test_stdout_is_returned_and_stderr_is_not(gateway: Gateway) -> None:
    assert gateway(["bash", "-c", "echo data; echo talk >&2"]).stdout == "data\n"


def test_a_program_that_reads_stdin_gets_it_and_its_end(gateway: Gateway) -> None:
    assert gateway(["cat"], stdin="one\ntwo\n").stdout == "one\ntwo\n"
    assert gateway(["cat"], timeout=5).stdout == ""


def test_a_failure_shows_the_command_as_one_can_paste_it_and_the_last_lines(gateway: Gateway) -> None:
    with pytest.raises(ProcessFailed) as caught:
        gateway(["bash", "-c", "seq 20; echo 'no space' >&2; sleep 0.1; exit 3"])
    assert caught.value.returncode == 3
    assert caught.value.code is ExitCode.PROCESS
    shown = str(caught.value).splitlines()
    assert shown[0] == """`bash -c 'seq 20; echo '"'"'no space'"'"' >&2; sleep 0.1; exit 3'` ended with 3"""
    assert len(shown) == LAST_LINES + 1
    assert "  | 20" in shown
    assert "  | no space" in shown
    assert "  | 1" not in shown


def test_a_program_killed_by_a_signal_is_a_failure(gateway: Gateway) -> None:
    with pytest.raises(ProcessFailed) as caught:
        gateway(["bash", "-c", "kill -9 $$"])
    assert caught.value.returncode == -signal.SIGKILL


def test_a_missing_program_is_an_error_that_names_its_package(gateway: Gateway) -> None:
    with pytest.raises(HostError, match="no-such-program: no such program on this machine") as caught:
        gateway(["no-such-program"])
    assert "make setup" in caught.value.remedy


def test_a_program_that_is_no_program_is_an_error_of_the_host(gateway: Gateway, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_text("junk")
    junk.chmod(0o755)
    with pytest.raises(HostError, match=r"junk: cannot be started: .*Exec format error"):
        gateway([str(junk)])


def test_bytes_that_are_no_text_do_not_break_the_gateway(gateway: Gateway) -> None:
    assert gateway(["printf", r"a\xffb\n"]).stdout == "a\N{REPLACEMENT CHARACTER}b\n"


def test_a_deadline_ends_the_program_and_all_that_it_started(gateway: Gateway, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    began = time.monotonic()
    with pytest.raises(WaitTimeout, match=r"did not end within 0\.5 s") as caught:
        gateway(["bash", "-c", f"sleep 60 & echo $! $$ >{pids}; sleep 60"], timeout=0.5)
    assert time.monotonic() - began < 3
    assert caught.value.code is ExitCode.TIMEOUT
    wait_for_end(pids)


def test_a_missed_deadline_names_the_last_line() -> None:
    with pytest.raises(WaitTimeout, match="last line: copying"):
        run(["bash", "-c", "echo copying; sleep 60"], timeout=0.5)


def test_lines_are_passed_on_as_they_come_and_kept_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    received: list[tuple[str, float]] = []
    with pytest.raises(ProcessFailed) as caught:
        run(
            ["bash", "-c", "echo first; sleep 0.5; echo second >&2; exit 1"],
            on_line=lambda line: received.append((line, time.monotonic())),
            logfile=log,
        )
    assert [line for line, _ in received] == ["first", "second"]
    assert received[1][1] - received[0][1] > 0.3
    assert log.read_text() == "first\nsecond\n"
    assert str(log) in caught.value.remedy


def test_the_environment_is_added_to_ours_and_the_folder_is_set(tmp_path: Path) -> None:
    shown = run(["bash", "-c", 'echo "$COLOUR ${PATH:+path}"; pwd'], env={"COLOUR": "red"}, cwd=tmp_path).stdout
    assert shown == f"red path\n{tmp_path}\n"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot be started: .*/nowhere"):
        run(["true"], cwd=tmp_path / "nowhere")


def test_an_interrupt_leaves_nothing_running(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"from samovar.core.process import run\nrun(['bash', '-c', 'sleep 60 & echo $! $$ >{pids}; sleep 60'])"
    received = ["env", "--default-signal=INT"]  # who runs the tests in the background has it ignored
    argv = [*received, sys.executable, "-c", script]
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL) as tool:
        try:
            wait_for("the child", lambda: written(pids), timeout=20)
            tool.send_signal(signal.SIGINT)
            tool.wait(timeout=20)
        finally:
            tool.kill()
    wait_for_end(pids)


async def test_a_cancelled_task_leaves_nothing_running(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    task = asyncio.create_task(run_async(["bash", "-c", f"sleep 60 & echo $! $$ >{pids}; sleep 60"]))
    await wait_for_async("the child", lambda: written(pids), timeout=20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wait_for_end(pids)


def test_a_detached_program_has_a_session_of_its_own_and_returns_its_exit_code(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pid = start_detached(["/bin/bash", "-c", "echo here; echo there >&2; sleep 0.3; exit 4"], logfile=log)
    assert os.getsid(pid) == pid
    assert exit_of(pid) is None
    ended = wait_for("its end", lambda: Pending("it runs") if (code := exit_of(pid)) is None else code, timeout=5)
    assert ended == 4
    assert log.read_text() == "here\nthere\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_processes_that_other_threads_wait_for_can_be_ended() -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(run, ["sleep", "60"])
        began = time.monotonic()
        while not waiting.done():
            end_running()
            time.sleep(0.01)
        with pytest.raises(ProcessFailed, match="`sleep 60` ended with"):
            waiting.result()
    assert time.monotonic() - began < 10
