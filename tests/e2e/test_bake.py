"""Real bakes: what they make, what they refuse, and that nothing is left of one that fails or is interrupted.

The base image comes from this user's cache, or is baked into it; small layers on it are baked into a cache of the test.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from samovar.core.errors import ConfigError, HostError, ProcessFailed
from samovar.core.output import PlainReporter
from samovar.core.paths import cache_dir
from samovar.images.bake_input import write_spec
from samovar.images.builders import local
from samovar.images.builders.local import bake_local
from samovar.images.reserved_names import ACCOUNTS
from samovar.images.store import BakedImage
from samovar.project.fields import NAME
from tests.support.checkout import PROJECT, ROOT, empty_project, project_in
from tests.support.images import inside
from tests.support.ports import free_port
from tests.support.wait import wait_until

BAKE = """
import sys
from pathlib import Path
from samovar.images.builders.local import bake_local
from samovar.core.output import PlainReporter
from tests.support.images import inside
from tests.support.checkout import project_in
bake_local(project_in(Path(sys.argv[1])), sys.argv[2:], reporter=PlainReporter())
"""
MIB = 1 << 20
NAP = "sleep\x00312\x00"


class Silence:
    """A reporter that only remembers which steps there were."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def info(self, message: str) -> None:
        """Not needed here."""

    def progress(self, state: str) -> None:
        """Nor is this."""

    def step(self, name: str) -> AbstractContextManager[None]:
        self.steps.append(name)
        return nullcontext()


@pytest.fixture(scope="module")
def base() -> BakedImage:
    (image,) = bake_local(PROJECT, ["samovar-base"], reporter=PlainReporter())
    return image


@pytest.fixture
def repository(base: BakedImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository of images of its own, and an empty cache that has that base."""
    apt = cache_dir() / "apt"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = empty_project(tmp_path / "repository")
    store = cache_dir() / "images"
    store.mkdir(parents=True)
    for file in (base.raw, base.raw.with_suffix(".json")):
        os.link(file, store / file.name) if same_disk(file, store) else shutil.copy(file, store)
    (cache_dir() / "apt").symlink_to(apt)
    yield root
    wait_until(
        "nothing is left", lambda: leftovers() == [], timeout=30
    )  # the kernel lets go of a loop device in its own time


def same_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def leftovers() -> list[str]:
    """Return all that a bake leaves on this host: files, mounts, loop devices, processes."""
    here = str(cache_dir())
    files = [str(path) for path in (cache_dir() / "bake").rglob("*") if path.name != "lock"]
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if here in line]
    loops = [str(path) for path in Path("/sys/block").glob("loop*/loop/backing_file") if here in path.read_text()]
    return [*files, *mounts, *loops, *processes(here)]


def processes(here: str) -> list[str]:
    """The commands of those that bake in the folder `here`, and of all in the process namespaces of these."""
    bakers = {pid for pid in pids() if f"WORK={here}" in read(pid, "environ")}
    spaces = {space(pid) for pid in bakers} - {space("self")}
    return [read(pid, "cmdline") for pid in pids() if pid in bakers or space(pid) in spaces]


def pids() -> list[str]:
    return [path.name for path in Path("/proc").glob("[0-9]*")]


def read(pid: str, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def space(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def add_image(root: Path, name: str, text: str, script: str | None = None) -> None:
    folder = root / "images" / name
    folder.mkdir()
    (folder / "image.yaml").write_text(f"description: a test\nparent: samovar/base\n{text}")
    if script is not None:
        (folder / "step.sh").write_text(script)


def test_the_shipped_images_are_baked_once(base: BakedImage) -> None:
    nginx, again = bake_local(PROJECT, ["samovar-edge", "samovar-base"], reporter=PlainReporter())
    assert again == base
    assert "nginx" in nginx.packages
    assert inside(nginx, "readlink /etc/resolv.conf; cat /etc/machine-id; ls /etc/nginx/nginx.conf || echo none") == (
        "../run/systemd/resolve/stub-resolv.conf\nnone\n"
    )
    before = nginx.raw.stat().st_ino
    assert bake_local(PROJECT, ["samovar-edge"], reporter=PlainReporter()) == (nginx,)
    assert nginx.raw.stat().st_ino == before, "another bake may look for it meanwhile, which gives it the time of then"


@pytest.mark.parametrize("memory_needed", [0, 2**60], ids=["in memory", "on disk"])
def test_a_layer_matches_its_definition(repository: Path, memory_needed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MEMORY_NEEDED", memory_needed)
    text = (
        "packages: [ssl-cert]\n"
        'files:\n  - {source: image.yaml, target: /etc/tiny/key, mode: "0640", owner: "root:ssl-cert"}\n'
        "scripts: [step.sh]\n"
        "services: [systemd-networkd-wait-online.service]\n"
        "checks: {commands: [[test, -s, /etc/tiny/made]], absent: [/etc/tiny/none]}\n"
    )
    add_image(repository, "tiny", text, "stat -c '%a %U:%G' /etc/tiny/key >/etc/tiny/made\n")
    unused = cache_dir() / "apt/archives/unused_1_all.deb"
    unused.touch()
    os.utime(unused, (0, 0))
    (tiny,) = bake_local(project_in(repository), ["tiny"], reporter=PlainReporter())
    assert inside(tiny, "cat /etc/tiny/made") == "640 root:ssl-cert\n"
    assert f"ssl-cert\t{tiny.packages['ssl-cert']}\n" in inside(tiny, "cat /usr/share/samovar/packages")
    assert "networkd-wait-online" in inside(tiny, "ls /etc/systemd/system/*.wants")
    assert not unused.exists()


def test_accounts_of_the_shipped_images_are_reserved_names_of_images() -> None:
    baked = bake_local(
        PROJECT,
        ["samovar-app", "samovar-edge", "samovar-postgres", "samovar-monitoring"],
        reporter=PlainReporter(),
    )
    names = {name for image in baked for name in inside(image, "cut -d: -f1 /etc/passwd /etc/group").split()}
    assert {name for name in names if re.fullmatch(NAME, name)} == ACCOUNTS


def test_a_failing_script_shows_its_command_and_last_lines_and_leaves_nothing(repository: Path) -> None:
    # What starts in the background has a second to show itself, or it would be the last command that was seen.
    script = "set -eu\nsleep 300 &\nsleep 1\ntouch /half\necho last words >&2\nfalse because of this\necho never\n"
    add_image(repository, "broken", "scripts: [step.sh]\n", script)
    with pytest.raises(ProcessFailed) as caught:
        bake_local(project_in(repository), ["broken"], reporter=PlainReporter())
    assert "image broken: step.sh: `false because of this` ended with 1" in caught.value.message
    log = Path(caught.value.remedy.split()[-1])
    assert "last words" in log.read_text()
    assert list((cache_dir() / "images").glob("broken*")) == []


def test_a_bake_on_a_full_disk_fails_and_works_once_there_is_room(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bake is on disk, in a cache that is a file system of its own."""
    monkeypatch.setattr(local, "MEMORY_NEEDED", 2**60)
    text = "files: [{source: file, target: /file}]\nscripts: [step.sh]\n"
    add_image(repository, "broad", text, "head -c 100M /dev/zero >/large\nrm /large\n")
    (repository / "images/broad/file").write_bytes(bytes(2 * MIB))
    stocked = cache_dir()
    with narrow(tmp_path / "narrow", MIB) as place:
        monkeypatch.setenv("XDG_CACHE_HOME", str(place))
        shutil.copytree(stocked, cache_dir(), symlinks=True, copy_function=lambda old, new: Path(new).symlink_to(old))
        with pytest.raises(HostError, match="No space left on device") as unwritten:
            bake_local(project_in(repository), ["broad"], reporter=PlainReporter())
        resize(place, 64 * MIB)
        with pytest.raises(ProcessFailed) as unscripted:
            bake_local(project_in(repository), ["broad"], reporter=PlainReporter())
        resize(place, 128 * MIB)
        with pytest.raises(ProcessFailed, match="file system: `mkfs") as unpacked:
            bake_local(project_in(repository), ["broad"], reporter=PlainReporter())
        resize(place, 1024 * MIB)
        assert "step.sh: `head -c 100M /dev/zero` ended with 1" in unscripted.value.message
        for caught in (unwritten, unscripted, unpacked):
            assert f"make room in {cache_dir()}" in caught.value.remedy
        assert list((cache_dir() / "images").glob("broad*")) == []
        wait_until("nothing is left", lambda: leftovers() == [], timeout=30)
        (broad,) = bake_local(project_in(repository), ["broad"], reporter=PlainReporter())
        assert broad.raw.exists()
    monkeypatch.setenv("XDG_CACHE_HOME", str(stocked.parent))


@contextmanager
def narrow(folder: Path, size: int) -> Iterator[Path]:
    """A file system of that many bytes at `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "narrow", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


def test_an_unreachable_package_mirror_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's apt is told of mirrors at a port where nobody listens, as its administrator would."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site, release = f"http://127.0.0.1:{free_port()}/debian", platform.freedesktop_os_release()["VERSION_CODENAME"]
    listed = (f"deb {site} {release}{part} main\n" for part in ("", "-updates", "-security"))
    (tmp_path / "sources.list").write_text("".join(listed))
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "-";\nAcquire::Retries "0";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with pytest.raises(ProcessFailed) as caught:
        bake_local(PROJECT, ["samovar-base"], reporter=PlainReporter())
    assert "image samovar-base: base system: `mmdebstrap" in caught.value.message
    assert site.removeprefix("http://").partition("/")[0].replace(":", ":") in caught.value.message
    assert "Connection refused" in caught.value.message
    assert leftovers() == []
    assert list((cache_dir() / "images").iterdir()) == []


def test_an_application_with_another_sha256_is_not_baked(repository: Path) -> None:
    (repository / "program").write_text("#!/bin/sh\n")
    by_url = f"url: 'file://{repository}/program', sha256: {'a' * 64}"
    add_image(repository, "forged", f"application: {{target: /opt/program, {by_url}}}\n")
    with pytest.raises(ConfigError, match=rf"program: its sha256 is [0-9a-f]{{64}}, not {'a' * 64}"):
        bake_local(project_in(repository), ["forged"], reporter=PlainReporter())
    assert list((cache_dir() / "images").glob("forged*")) == []


def test_a_package_that_does_not_exist_fails_with_apts_words(repository: Path) -> None:
    add_image(repository, "broken", "packages: [no-such-package-anywhere]\n")
    with pytest.raises(ProcessFailed, match="Unable to locate package no-such-package-anywhere"):
        bake_local(project_in(repository), ["broken"], reporter=PlainReporter())


def test_independent_images_are_baked_side_by_side_and_a_failure_affects_no_other(repository: Path) -> None:
    add_image(repository, "left", "packages: [ssl-cert]\n")
    add_image(repository, "right", "packages: [tree]\n")
    add_image(repository, "wrong", "scripts: [step.sh]\n", "exit 3\n")
    with pytest.raises(ProcessFailed, match=r"wrong: step\.sh: `exit 3` ended with 3"):
        bake_local(project_in(repository), ["wrong", "left", "right"], reporter=PlainReporter())
    reporter = Silence()
    left, right = bake_local(project_in(repository), ["left", "right"], reporter=reporter)
    assert reporter.steps == []
    assert "ssl-cert" in left.packages.keys() - right.packages.keys()
    assert "tree" in right.packages.keys() - left.packages.keys()


DIRT = {
    "echo abc >/etc/machine-id": "/etc/machine-id: must be there and empty",
    "touch /etc/ssh/ssh_host_ed25519_key": "/etc/ssh/ssh_host_ed25519_key: a key",
    "install -D /dev/null /root/.ssh/authorized_keys": "/root/.ssh/authorized_keys: a key",
    "echo host >/etc/hostname": "/etc/hostname: must not be there",
    "touch /var/log/dpkg.log": "/var/log/dpkg.log: a log",
    "mkdir -p /var/lib/cloud/instances": "/var/lib/cloud/instances: cloud-init has run",
    "rm /etc/resolv.conf; touch /etc/resolv.conf": "/etc/resolv.conf: must be a link",
    "touch /var/tmp/x": "/var/tmp/x: left behind",  # noqa: S108
}


def test_the_hygiene_check_names_each_violation(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dirt comes after the cleaning, as a bug of the builder would leave it."""
    monkeypatch.setattr(local, "write_spec", spec_with_dirt)
    add_image(repository, "dirty", "packages: [ssl-cert]\n")
    with pytest.raises(ProcessFailed) as caught:
        bake_local(project_in(repository), ["dirty"], reporter=PlainReporter())
    assert "image dirty: checks: " in caught.value.message
    assert [fault for fault in DIRT.values() if fault not in caught.value.message] == []
    assert list((cache_dir() / "images").glob("dirty*")) == []


def spec_with_dirt(folder: Path, *args: object) -> None:
    write_spec(folder, *args)  # type: ignore[arg-type]
    (folder / "scripts" / "99-dirt.sh").write_text("\n".join(DIRT))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("checks: {commands: [[sh, -c, 'echo why; exit 3']]}\n", "ended with 3: why"),
        ("checks: {absent: [/etc/passwd]}\n", "/etc/passwd: must not be there"),
        (
            "files: [{source: image.yaml, target: /etc/x}]\nscripts: [step.sh]\n",
            "/etc/x: is 0755 root:root, must be 0644 root:root",
        ),
        (
            "services: [ssh.service]\nscripts: [step.sh]\n",
            "service ssh.service: not enabled",
        ),
    ],
)
def test_a_failing_check_fails_the_bake(repository: Path, text: str, fault: str) -> None:
    script = "chmod 755 /etc/x || systemctl disable ssh.service\n"
    add_image(repository, "faulty", text, script if "scripts" in text else None)
    with pytest.raises(ProcessFailed, match="image faulty: checks: ") as caught:
        bake_local(project_in(repository), ["faulty"], reporter=PlainReporter())
    assert fault in caught.value.message


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_bake_leaves_nothing_and_the_next_one_works(repository: Path, number: signal.Signals) -> None:
    text = "scripts: [step.sh]\n"
    add_image(repository, "slow", text, "setsid sleep 312 &\nsleep 312\n")
    interruptible = ["env", "--default-signal=INT"]  # who runs the tests in the background has it ignored
    argv = [*interruptible, sys.executable, "-c", BAKE, str(repository), "slow"]
    before = sleepers()
    with subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL) as bake:
        try:
            wait_until(
                "both scripts run",
                lambda: sum("sleep" in command for command in processes(str(cache_dir()))) == 2,
                timeout=30,
            )
            bake.send_signal(number)
            assert bake.wait(timeout=20) != 0
        finally:
            bake.kill()
    wait_until("the processes end", lambda: processes(str(cache_dir())) == [] and sleepers() == before, timeout=30)
    assert list((cache_dir() / "images").glob("slow*")) == []
    (repository / "images/slow/step.sh").write_text("true\n")
    (slow,) = bake_local(project_in(repository), ["slow"], reporter=PlainReporter())
    assert slow.raw.exists()


def sleepers() -> set[str]:
    return {pid for pid in pids() if read(pid, "cmdline") == NAP}


def test_a_bake_without_root_is_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_image(repository, "tiny", "")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match="takes root"):
        bake_local(project_in(repository), ["tiny"], reporter=PlainReporter())


def test_a_missing_tool_is_named(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    add_image(repository, "tiny", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="not on this machine: mmdebstrap") as caught:
        bake_local(project_in(repository), ["tiny"], reporter=PlainReporter())
    assert "make setup" in caught.value.remedy


def test_an_unknown_image_is_an_error_that_lists_the_images(repository: Path) -> None:
    with pytest.raises(ConfigError, match="no image none"):
        bake_local(project_in(repository), ["none"], reporter=PlainReporter())
