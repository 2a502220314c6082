"""A home's number: kept for life, freed by a deletion, and never shared."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from samovar.core.errors import ExitCode, HostError
from samovar.localcloud.home.numbers import NUMBERS, Claim, Folders, choose, claim, claimed

NOTHING: frozenset[int] = frozenset()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(claims=tmp_path / "run", registry=tmp_path / "numbers")


def _home(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def _life(home: Path, folders: Folders, *, addressed: bool) -> int:
    """A daemon that starts, serves, and is taken down; returns its number."""
    remembered = home / "number"
    in_use = frozenset({int(remembered.read_text())}) if addressed and remembered.exists() else NOTHING
    held = claim(home, in_use, folders)
    held.mark(fresh=False)
    held.release(keep_number=addressed)
    return held.number


def test_two_homes_in_turn_keep_their_numbers(tmp_path: Path, folders: Folders) -> None:
    a, b = _home(tmp_path, "a"), _home(tmp_path, "b")
    assert [_life(home, folders, addressed=True) for home in (a, b, a, b)] == [1, 2, 1, 2]


def test_a_reboot_takes_no_number_away(tmp_path: Path, folders: Folders) -> None:
    a, b = _home(tmp_path, "a"), _home(tmp_path, "b")
    claim(a, NOTHING, folders).mark(fresh=False)
    shutil.rmtree(folders.claims)
    assert _life(b, folders, addressed=True) == 2
    held = claim(a, frozenset({1}), folders)
    assert (held.number, held.fresh) == (1, True)


def test_the_claim_of_a_killed_daemon_is_adopted(tmp_path: Path, folders: Folders) -> None:
    home = _home(tmp_path, "a")
    claim(home, NOTHING, folders).mark(fresh=False)
    assert claimed(home, folders.claims) == 1
    assert claim(home, NOTHING, folders) == Claim(1, home, fresh=False, folders=folders)


def test_a_home_without_an_address_leaves_its_number_to_others(tmp_path: Path, folders: Folders) -> None:
    a, b = _home(tmp_path, "a"), _home(tmp_path, "b")
    assert _life(a, folders, addressed=False) == 1
    assert _life(b, folders, addressed=True) == 1
    assert _life(a, folders, addressed=False) == 2


def test_a_deleted_home_frees_its_number_and_leaves_no_entry(tmp_path: Path, folders: Folders) -> None:
    a, b = _home(tmp_path, "a"), _home(tmp_path, "b")
    _life(a, folders, addressed=True)
    shutil.rmtree(a)
    assert _life(b, folders, addressed=True) == 1
    assert [file.name for file in folders.registry.glob("[0-9]*")] == ["1"]


def test_a_moved_home_keeps_its_number(tmp_path: Path, folders: Folders) -> None:
    a, b = _home(tmp_path, "a"), _home(tmp_path, "b")
    assert [_life(home, folders, addressed=True) for home in (a, b)] == [1, 2]
    moved = b.rename(tmp_path / "c")
    assert _life(moved, folders, addressed=True) == 2


def test_a_copy_is_refused_by_the_name_of_its_original(tmp_path: Path, folders: Folders) -> None:
    original = _home(tmp_path, "a")
    _life(original, folders, addressed=True)
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    with pytest.raises(HostError, match=f"number 1 of this host is held by {original}") as refused:
        claim(copy, frozenset({1}), folders)
    assert refused.value.code is ExitCode.HOST
    assert refused.value.remedy
    assert claim(copy, NOTHING, folders).number == 2, "without an address it may have another one"


def test_a_home_goes_back_to_the_number_of_its_addresses(tmp_path: Path, folders: Folders) -> None:
    """A home whose number was given to another one had both: addresses of the old one, and a file with the new one."""
    home = _home(tmp_path, "a")
    (home / "number").write_text("2")
    assert claim(home, frozenset({1}), folders).number == 1


def test_a_claim_that_no_registry_knows_is_respected(tmp_path: Path, folders: Folders) -> None:
    a, b = _home(tmp_path, "a"), _home(tmp_path, "b")
    folders.claims.mkdir()
    (folders.claims / "1").write_text(str(a))
    assert claim(b, NOTHING, folders).number == 2
    with pytest.raises(HostError, match=f"held by {a}"):
        claim(_home(tmp_path, "c"), frozenset({1}), folders)


@pytest.mark.parametrize("text", ["", "x", "0", "255"])
def test_an_empty_number_file_is_ignored(tmp_path: Path, folders: Folders, text: str) -> None:
    home = _home(tmp_path, "a")
    (home / "number").write_text(text)
    assert claim(home, NOTHING, folders).number == 1


def test_no_free_number_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="all 199 numbers") as refused:
        choose(tmp_path, {number: tmp_path / str(number) for number in NUMBERS}, (), NOTHING)
    assert "rm -r DIR" in refused.value.remedy


def test_concurrent_starts_get_distinct_numbers(tmp_path: Path, folders: Folders) -> None:
    homes = [_home(tmp_path, f"h{number}") for number in range(12)]
    deleted = _home(tmp_path, "gone")
    _life(deleted, folders, addressed=True)
    shutil.rmtree(deleted)
    held: list[int] = []
    threads = [
        threading.Thread(target=lambda home=home: held.append(claim(home, NOTHING, folders).number)) for home in homes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(held) == list(range(1, 13))


def test_a_read_only_registry_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="cannot be written: Not a directory") as refused:
        claim(_home(tmp_path, "a"), NOTHING, Folders(claims=tmp_path / "run", registry=tmp_path / "file/numbers"))
    assert "make it writable" in refused.value.remedy
