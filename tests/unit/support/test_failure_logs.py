"""The logs of a failed test are kept, bounded, and shown on CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import failure_logs


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "whole0"
    (home / "machines/one").mkdir(parents=True)
    (home / "daemon.log").write_text("first\nlast\n")
    return home


def test_the_end_of_each_file_is_kept_and_the_report_names_the_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    (home / "machines/one/console").write_text("a" * failure_logs.LONGEST_FILE + "the end")
    files = failure_logs.collect(tmp_path, tmp_path / "kept")
    kept = tmp_path / "kept/whole0"
    assert files == [kept / "daemon.log", kept / "one/console"]
    assert (kept / "one/console").read_text().endswith("athe end")
    assert (kept / "one/console").stat().st_size == failure_logs.LONGEST_FILE
    assert failure_logs.report(files, tmp_path / "kept") == f"2 files in {tmp_path / 'kept'}"


def test_on_ci_the_report_holds_the_last_lines(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.exists()
    monkeypatch.setenv("CI", "true")
    files = failure_logs.collect(tmp_path, tmp_path / "kept")
    assert failure_logs.report(files, tmp_path / "kept").endswith("--- whole0/daemon.log\nfirst\nlast")


def test_all_of_it_is_bounded_and_small_files_come_first(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "machines/one/console").write_text("a" * 100)
    monkeypatch.setattr(failure_logs, "LONGEST_TOTAL", 50)
    assert [file.name for file in failure_logs.collect(tmp_path, tmp_path / "kept")] == ["daemon.log"]
    assert not (tmp_path / "kept/whole0/one/console").exists()


def test_a_folder_that_a_test_added_is_kept_until_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/haproxy.log").write_text("said")
    failure_logs.add_folder(tmp_path / "logs")
    assert [file.read_text() for file in failure_logs.collect(tmp_path, tmp_path / "kept")] == ["said"]
    failure_logs.forget_folders()
    assert failure_logs.collect(tmp_path, tmp_path / "again") == []
