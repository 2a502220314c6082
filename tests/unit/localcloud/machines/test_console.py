"""A machine's console on the host: its head and its tail, in files that do not grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from samovar.localcloud.machines import console

MIB = 1 << 20
BOUND = console.HEAD + console.KEPT * console.SEGMENT


def write_console(file: Path, output: bytes) -> None:
    command = [sys.executable, "-I", "-S", console.__file__, str(file)]
    subprocess.run(command, input=output, check=True, timeout=60)


def size(file: Path) -> int:
    return sum(each.stat().st_size for each in file.parent.iterdir())


def lines(count: int) -> bytes:
    return b"".join(b"line %07d\n" % number for number in range(count))


@pytest.mark.parametrize("count", [0, 1, 5000, 20_000])
def test_a_short_console_is_kept_complete(tmp_path: Path, count: int) -> None:
    file = tmp_path / "console"
    console.clear(file)
    write_console(file, lines(count))
    assert console.read(file) == lines(count)


@pytest.mark.parametrize("count", [60_000, 200_000, 400_000])
def test_a_long_console_keeps_its_head_and_its_tail_in_files_of_bounded_size(tmp_path: Path, count: int) -> None:
    file = tmp_path / "console"
    console.clear(file)
    output = lines(count)
    write_console(file, output)
    head, gap, tail = console.read(file).partition(console.GAP)
    assert gap
    assert head == output[: console.HEAD]
    assert tail == output[-console.TAIL :]
    assert size(file) <= BOUND


def test_a_console_without_a_bound_that_was_written_before_is_read_within_bounds(tmp_path: Path) -> None:
    file = tmp_path / "console"
    file.write_bytes(lines(1_000_000))
    output = console.read(file)
    assert len(output) == console.HEAD + len(console.GAP) + console.TAIL
    assert output.endswith(lines(1_000_000)[-console.TAIL :])


def test_a_start_begins_a_console_anew(tmp_path: Path) -> None:
    file = tmp_path / "console"
    write_console(file, lines(500_000))
    console.clear(file)
    assert console.read(file) == b""
    assert [each.name for each in tmp_path.iterdir()] == ["console"]


def test_a_console_that_cannot_be_written_stops_no_machine(tmp_path: Path) -> None:
    """The machine's supervisor would die of a pipe that nobody reads."""
    write_console(tmp_path / "gone" / "console", lines(500_000))


def test_the_last_lines_hold_nothing_that_a_terminal_acts_on(tmp_path: Path) -> None:
    file = tmp_path / "console"
    file.write_bytes(b"one\n\n\x1b]0;title\x07two\r\n\x9b31mthree\x00\n\n")
    assert console.last_lines(file, 2) == "]0;titletwo | \ufffd31mthree"
    file.write_bytes(b"")
    assert console.last_lines(file, 2) == "nothing"
