"""A process that ended is told from one that lives, and from one that merely has the same number."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from samovar.core import proc
from samovar.core.proc import IDENTITY, has_ended, process_identity

OTHERS = "from samovar.core.proc import process_identity; print(process_identity(), flush=True); input()"


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    """Another process of this place, which has told its name and lives."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_name_has_the_letters_of_a_label_and_fits() -> None:
    assert IDENTITY.fullmatch(process_identity())
    assert len(process_identity()) <= 63


def test_has_ended_is_true_for_a_dead_process_alone(other: subprocess.Popen[str]) -> None:
    name = _first_line(other)
    assert not has_ended(process_identity())
    assert not has_ended(name)
    other.kill()
    other.wait()
    assert has_ended(name)


def test_a_number_that_was_given_out_again_is_another_process() -> None:
    place, pid, started = process_identity().split("-")
    assert has_ended(f"{place}-{pid}-{int(started) - 1}")


def test_a_process_of_another_place_is_never_taken_for_dead() -> None:
    _, pid, started = process_identity().split("-")
    assert not has_ended(f"{'0' * 16}-{pid}-{started}")
    assert not has_ended(f"{'0' * 16}-{2**22}-1")


def test_on_a_host_without_proc_a_process_has_a_name_and_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = process_identity()
    monkeypatch.setattr(proc, "PROC", tmp_path / "none")
    monkeypatch.setattr(proc, "MACHINE_ID", tmp_path / "none")
    proc._place.cache_clear()
    try:
        assert IDENTITY.fullmatch(process_identity())
        assert not has_ended(process_identity())
        assert not has_ended(elsewhere)
    finally:
        proc._place.cache_clear()


@pytest.mark.parametrize("name", ["", "root-debian-4711", "a-b-c", "somebody"])
def test_the_holder_of_an_unknown_name_is_never_taken_for_dead(name: str) -> None:
    assert not has_ended(name)


@pytest.mark.parametrize("differs", ["boot", "machine"])
def test_another_boot_or_machine_is_another_place(monkeypatch: pytest.MonkeyPatch, differs: str) -> None:
    name = process_identity()
    proc._place.cache_clear()
    if differs == "boot":
        monkeypatch.setattr(proc, "_boot_id", lambda: "another")
    else:
        monkeypatch.setattr(proc, "MACHINE_ID", Path("/proc/version"))
    try:
        assert process_identity().split("-")[0] != name.split("-")[0]
        assert not has_ended(name)
    finally:
        proc._place.cache_clear()


def test_a_process_that_is_hidden_from_us_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's process has no folder in /proc with hidepid=2."""
    name = process_identity()
    monkeypatch.setattr(proc, "start_time", lambda _: None)
    assert not has_ended(name)
    assert os.getpid() > 0


def test_a_container_of_the_same_host_is_another_place() -> None:
    inside = [
        *("unshare", "--pid", "--fork", "--mount-proc"),
        *(
            sys.executable,
            "-c",
            "from samovar.core.proc import process_identity; print(process_identity())",
        ),
    ]
    if os.geteuid():
        inside[1:1] = ["--user", "--map-root-user"]
    done = subprocess.run(inside, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no PID namespace can be made here: {done.stderr}")
    assert done.stdout.split("-")[0] != process_identity().split("-")[0]
