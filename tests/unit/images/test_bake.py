"""The small parts of a bake: the archive of files, the mirrors, the progress, the store, the lock."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from samovar.core.apt_mirrors import sources
from samovar.core.errors import HostError, ProcessFailed
from samovar.images.bake_input import archive
from samovar.images.builders.base import Progress, bake_lock
from samovar.images.definition import InputFile
from samovar.images.store import Store, parse_packages

DEBIAN = """\
https://nodes.example/18 bookworm main
http://mirror.example/debian bookworm main
http://mirror.example/debian bookworm-updates main
http://mirror.example/debian bookworm-updates contrib
http://other.example/debian-security bookworm-security main
https://docker.example/linux bookworm stable
http://flat.example ./
"""


class Notes:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def info(self, message: str) -> None:
        self.messages.append(message)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.messages.append(f"> {name}")
        yield
        self.messages.append(f"< {name}")

    def progress(self, state: str) -> None:
        self.messages.append(f"= {state}")


def test_archive_keeps_modes_and_owner_names() -> None:
    data = archive([InputFile("/etc/nginx/key", 0o640, "root:www-data", b"secret")])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (member,) = tar.getmembers()
        file = tar.extractfile(member)
        assert (member.name, member.mode, member.uname, member.gname) == ("etc/nginx/key", 0o640, "root", "www-data")
        assert file is not None
        assert file.read() == b"secret"


def test_archive_is_reproducible() -> None:
    files = [InputFile("/a", 0o644, "root:root", b"a")]
    assert archive(files) == archive(files)


def test_mirrors_of_the_host_are_used_with_the_images_suite() -> None:
    lines = sources("trixie", DEBIAN, "bookworm")
    keyring = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    assert lines == (
        f"{keyring} http://mirror.example/debian trixie main",
        f"{keyring} http://mirror.example/debian trixie-updates main",
        f"{keyring} http://other.example/debian-security trixie-security main",
    )


@pytest.mark.parametrize("listed", ["", "http://mirror.example/debian bookworm main\n"])
def test_host_without_mirrors_gets_a_remedy(listed: str) -> None:
    with pytest.raises(HostError, match="no mirror of Debian") as caught:
        sources("trixie", listed, "bookworm")
    assert "bookworm-security" in caught.value.remedy


def test_progress_reports_steps_in_order_and_only_their_success() -> None:
    reporter = Notes()

    def bake() -> None:
        with Progress("nginx", "trixie", reporter) as progress:
            progress.read("::step download")
            progress.read("::step packages")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        bake()
    assert reporter.messages == ["> nginx: download", "< nginx: download", "> nginx: packages"]


def test_error_of_a_bake_names_the_last_command_and_its_output() -> None:
    progress = Progress("nginx", "trixie", Notes())
    for line in ("::step packages", "::run apt-get install x", "noise", ":::run grep x", "E: one", "E: two"):
        progress.read(line)
    assert (progress.step, progress.command, progress.last_lines) == ("packages", "grep x", ("E: one", "E: two"))


def test_error_of_a_script_that_gives_up_shows_what_it_printed_before_its_exit() -> None:
    progress = Progress("rows", "trixie", Notes())
    for line in ("::step server.sh", ":::run echo 'no cluster'", "no cluster", ":::run exit 1"):
        progress.read(line)
    error = progress.explained(ProcessFailed("", returncode=1, output=""), Path("bake.log"))
    assert error.message == "image rows: server.sh: `exit 1` ended with 1\n  | no cluster"


@pytest.mark.parametrize(
    "line", ["E: Unable to locate package postgresql-99", "E: Package 'postgresql-99' has no installation candidate"]
)
def test_error_of_a_package_that_is_nowhere_names_the_suite_and_the_remedy(line: str) -> None:
    progress = Progress("rows", "trixie", Notes())
    for each in ("::step download", "::run apt-get install postgresql-99", line):
        progress.read(each)
    error = progress.explained(ProcessFailed("", returncode=100, output=""), Path("bake.log"))
    assert line in error.message
    assert error.remedy == (
        "neither Debian's trixie nor a repository of the image has postgresql-99: correct `packages` or `version` of "
        "image rows, or add a repository that has it to its `repositories`; full output: bake.log"
    )


def test_store_has_only_finished_images(tmp_path: Path) -> None:
    store = Store(tmp_path)
    partial = tmp_path / "partial"
    partial.write_bytes(b"file system")
    assert store.find("a", "0" * 64) is None
    kept = store.keep("a", "0" * 64, partial, parse_packages("zlib\t1\nbash\t5\n"))
    assert store.find("a", "0" * 64) == kept
    assert store.find("a", "1" * 64) is None
    assert (kept.size, kept.raw.name, dict(kept.packages)) == (11, "a-000000000000.raw", {"zlib": "1", "bash": "5"})
    assert not partial.exists()


def test_manifest_digest_depends_on_its_content(tmp_path: Path) -> None:
    def keep(name: str, text: str) -> str:
        (tmp_path / "partial").touch()
        return Store(tmp_path).keep(name, "0" * 64, tmp_path / "partial", parse_packages(text)).manifest_digest

    assert keep("a", "x\t1\ny\t2\n") == keep("b", "y\t2\nx\t1\n")
    assert keep("c", "x\t1\n") != keep("d", "x\t2\n")


def test_second_bake_of_the_same_content_replaces_the_first_in_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for version in ("1", "2"):
        (tmp_path / "partial").write_text(version)
        store.keep("a", "0" * 64, tmp_path / "partial", {"bash": version})
    actual = store.find("a", "0" * 64)
    assert actual
    assert (actual.raw.read_text(), dict(actual.packages)) == ("2", {"bash": "2"})


@pytest.mark.parametrize("torn", ["", "{", None])
def test_image_with_an_unreadable_manifest_is_baked_again(tmp_path: Path, torn: str | None) -> None:
    store = Store(tmp_path)
    (tmp_path / "partial").touch()
    kept = store.keep("a", "0" * 64, tmp_path / "partial", {"bash": "1"})
    beside = kept.raw.with_suffix(".json")
    beside.unlink()
    if torn is not None:
        beside.write_text(torn)
    assert store.find("a", "0" * 64) is None


def test_store_keeps_the_newest_bakes_of_an_image(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number, name in enumerate(["a", "a-b", "a", "a", "a"]):
        (tmp_path / "partial").touch()
        os.utime(tmp_path / "partial", (number, number))
        store.keep(name, f"{number}" * 64, tmp_path / "partial", {})
    kept = [f"{name}-{number * 12}" for name, number in (("a-b", "1"), ("a", "2"), ("a", "3"), ("a", "4"))]
    assert {path.stem for path in tmp_path.iterdir()} == set(kept)
    assert store.find("a", "0" * 64) is None


def test_second_bake_waits_for_the_first_and_reports_it(tmp_path: Path) -> None:
    reporter, entered = Notes(), threading.Event()

    def second() -> None:
        with bake_lock(tmp_path, reporter):
            entered.set()

    with bake_lock(tmp_path, Notes()):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.3)
    thread.join(10)
    assert entered.is_set()
    assert "another bake runs (process " in reporter.messages[0]
