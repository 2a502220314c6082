from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from samovar.agent.files import Files
from samovar.agent.render import File
from samovar.agent.role import InvalidConfig

OLD = (File("/etc/a/one", "old one", 0o640), File("/etc/three", "old three", 0o644))
NEW = (File("/etc/a/one", "new one", 0o600), File("/etc/b/two", "new two", 0o644), OLD[1])


def nothing(_: list[str]) -> None:
    """A confirmation that finds no fault."""


def refuse(_: list[str]) -> None:
    raise InvalidConfig("no")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    assert files.change(OLD, nothing)
    return files


def state(root: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(root)): (path.read_text(), stat.S_IMODE(path.stat().st_mode))
        for path in root.rglob("*")
        if path.is_file()
    }


def test_files_are_written_atomically_with_their_modes_and_no_other_file_remains(files: Files, tmp_path: Path) -> None:
    assert files.change(NEW, nothing)
    assert state(tmp_path) == {
        "etc/a/one": ("new one", 0o600),
        "etc/b/two": ("new two", 0o644),
        "etc/three": ("old three", 0o644),
    }


def test_unchanged_files_are_not_touched(files: Files, tmp_path: Path) -> None:
    before = (tmp_path / "etc/three").stat()
    assert not files.change(OLD, refuse)
    files.change(NEW, nothing)
    assert (tmp_path / "etc/three").stat() == before


def test_a_link_in_the_folder_of_a_file_leads_the_agent_nowhere(files: Files, tmp_path: Path) -> None:
    """Redis, for one, owns /etc/redis: it could give itself any file of the machine by a link."""
    victim = tmp_path / "victim"
    victim.write_text("of root")
    victim.chmod(0o640)
    (tmp_path / "etc/a/.one.samovar").symlink_to(victim)
    (tmp_path / "etc/three").unlink()
    (tmp_path / "etc/three").symlink_to(victim)
    assert files.edited(OLD) == ["/etc/three"]
    assert files.change(NEW, nothing)
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("of root", 0o640)
    assert not (tmp_path / "etc/three").is_symlink()


def test_a_pipe_in_the_place_of_a_file_does_not_stop_the_agent(files: Files, tmp_path: Path) -> None:
    (tmp_path / "etc/three").unlink()
    os.mkfifo(tmp_path / "etc/three")
    assert files.edited(OLD) == ["/etc/three"]
    assert files.change(OLD, nothing)
    assert state(tmp_path)["etc/three"] == ("old three", 0o644)


def test_a_rejected_change_is_undone(files: Files, tmp_path: Path) -> None:
    before = state(tmp_path)
    with pytest.raises(InvalidConfig):
        files.change(NEW, refuse)
    assert state(tmp_path) == before


def test_the_new_files_are_in_place_while_they_are_confirmed(files: Files, tmp_path: Path) -> None:
    observed: list[str] = []
    files.change(NEW, lambda _: observed.append((tmp_path / "etc/a/one").read_text()))
    assert observed == ["new one"]


class Died(BaseException):
    """The agent was killed here."""


STEPS = 7
"""Of a change of two files: the note, each file, before each of these an earlier one's remains; the end of the note."""


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("last", range(STEPS))
def test_an_agent_killed_at_any_step_leaves_a_change_that_can_be_undone(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch, last: int, *, late: bool
) -> None:
    before = state(tmp_path)
    with monkeypatch.context() as patch:
        _die(patch, last, late=late)
        with pytest.raises(Died):
            files.change(NEW, nothing)
    Files(tmp_path).undo()
    after = {path: held for path, held in state(tmp_path).items() if not path.endswith(".samovar")}
    confirmed = {path: held[0] for path, held in after.items()} == {
        "etc/a/one": "new one",
        "etc/b/two": "new two",
        "etc/three": "old three",
    }
    assert confirmed if (last, late) == (STEPS - 1, True) else after == before


def _die(patch: pytest.MonkeyPatch, last: int, *, late: bool) -> None:
    """Let a change die at step number `last`, before or after it is done. Its steps are renames and unlinks."""
    steps = itertools.count()

    def mortal(real: Callable[..., None]) -> Callable[..., None]:
        def step(*args: object, **kwargs: object) -> None:
            number = next(steps)
            if number < last + late:
                real(*args, **kwargs)
            if number >= last:
                raise Died

        return step

    patch.setattr(Path, "replace", mortal(Path.replace))
    patch.setattr(Path, "unlink", mortal(Path.unlink))


def test_an_undo_file_cut_short_changes_nothing(files: Files, tmp_path: Path) -> None:
    note = tmp_path / "var/lib/samovar/undo.json"
    note.write_text('{"/etc/a/one": {"conte')
    files.undo()
    assert (tmp_path / "etc/a/one").read_text() == "old one"
    assert not note.exists()


def test_undo_restores_bytes_that_are_no_utf8(files: Files, tmp_path: Path) -> None:
    one = tmp_path / "etc/a/one"
    one.write_bytes(b"caf\xe9\n")
    with pytest.raises(InvalidConfig):
        files.change(NEW, refuse)
    assert one.read_bytes() == b"caf\xe9\n"


def test_a_secret_is_never_readable_by_others(files: Files, tmp_path: Path) -> None:
    old = os.umask(0)
    modes = []
    try:
        files.change(
            (File("/etc/secret", "s", 0o400),), lambda _: modes.append((tmp_path / "etc/secret").stat().st_mode & 0o777)
        )
    finally:
        os.umask(old)
    assert modes == [0o400]


def test_confirm_gets_the_changed_paths(files: Files) -> None:
    observed: list[list[str]] = []
    files.change(NEW, observed.append)
    assert observed == [["/etc/a/one", "/etc/b/two"]]


def test_an_unknown_owner_is_named_and_nothing_changes(files: Files, tmp_path: Path) -> None:
    before = state(tmp_path)
    with pytest.raises(InvalidConfig, match="owner no-such-user:root"):
        files.change([replace(OLD[0], owner="no-such-user:root")], nothing)
    after = {path: held for path, held in state(tmp_path).items() if not path.endswith(".samovar")}
    assert after == before
