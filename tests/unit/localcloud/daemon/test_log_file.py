"""The daemon's log stays small, whatever is said in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from samovar.localcloud.daemon.log_file import LIMIT
from tests.support.checkout import ROOT

SPEAKER = """
import os, sys
from pathlib import Path
from samovar.localcloud.daemon.log_file import take_over_stderr
log = take_over_stderr(Path(sys.argv[1]))
for number in range(200_000):
    print(f"line {number} " + "x" * 80, file=sys.stderr)
os.write(2, b"y" * 5_000_000)
log.rotate()
print("the end", file=sys.stderr)
"""


def speak(log: Path, sink: Path) -> None:
    with sink.open("ab") as stderr:
        subprocess.run([sys.executable, "-c", SPEAKER, str(log)], stderr=stderr, cwd=ROOT, check=True, timeout=60)


def test_a_log_is_turned_by_size_and_one_before_it_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    speak(log, log)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["daemon.log", "daemon.log.1"]
    assert log.read_text() == "the end\n"
    assert log.stat().st_mode & 0o077 == 0
    before = (tmp_path / "daemon.log.1").read_bytes()
    assert before.endswith(b"y" * 1000)
    assert len(before) < LIMIT + 5_000_001


def test_a_stderr_that_is_another_file_is_left_alone(tmp_path: Path) -> None:
    log, other = tmp_path / "daemon.log", tmp_path / "terminal"
    log.write_text("of another daemon\n")
    speak(log, other)
    assert log.read_text() == "of another daemon\n"
    assert other.stat().st_size > 2 * LIMIT
