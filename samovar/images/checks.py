"""The checks that an image passes before it may be used, and what they expect of it.

Hygiene is checked of every image: none carries an identity, a trace of its making, or anything of the machine that it
was baked on.

`python -m samovar.images.checks TREE EXPECTED_JSON` prints all that is wrong with the tree, a line each, and ends with
1 if anything is. testinfra asks, by chroot; the same checks can be put to a machine over ssh. Nothing here imports more
than the standard library and testinfra: this module goes to the machines of Packer.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypedDict

SCRATCH = ("/tmp", "/var/tmp", "/run")  # noqa: S108 - looked at, not used
JOURNALS = "/var/log/journal"
KEYS = r"\( -name 'ssh_host_*' -o -name authorized_keys -o -name '.*_history' \)"
LOGS = "/var/log"
APT_LISTS, APT_CACHE = "/var/lib/apt/lists", "/var/cache/apt"
IDENTITY = ("/etc/hostname", "/var/lib/dbus/machine-id", "/usr/sbin/policy-rc.d")
UNIT_FOLDERS = ("/etc/systemd/system", "/usr/lib/systemd/system")
STUB = "../run/systemd/resolve/stub-resolv.conf"


@dataclass(frozen=True)
class ExpectedFile:
    """A file of the image: `mode` is the permissions as a number, `owner` is `user:group`."""

    path: str
    mode: int
    owner: str


@dataclass(frozen=True)
class Expected:
    """The state that a finished image must have. Hygiene is expected of every image and not named here.

    `links` maps paths to what they point to.
    """

    packages: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    files: tuple[ExpectedFile, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    absent: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


class _FileJson(TypedDict):
    path: str
    mode: int
    owner: str


class _ExpectedJson(TypedDict):
    packages: list[str]
    services: list[str]
    files: list[_FileJson]
    links: list[list[str]]
    commands: list[list[str]]
    absent: list[str]
    programs: list[str]
    units: list[str]


def to_json(expected: Expected) -> str:
    """Return it as `from_json` reads it."""
    return json.dumps(asdict(expected))


def from_json(text: str) -> Expected:
    """Return what `to_json` has written."""
    value: _ExpectedJson = json.loads(text)
    return Expected(
        packages=tuple(value["packages"]),
        services=tuple(value["services"]),
        files=tuple(ExpectedFile(**file) for file in value["files"]),
        links=tuple((path, points_to) for path, points_to in value["links"]),
        commands=tuple(tuple(command) for command in value["commands"]),
        absent=tuple(value["absent"]),
        programs=tuple(value["programs"]),
        units=tuple(value["units"]),
    )


class HostFile(Protocol):
    """A file of the image, as testinfra describes it."""

    path: str
    exists: bool
    mode: int
    user: str
    group: str
    size: int


class Command(Protocol):
    """A command that ended in the image."""

    rc: int
    stdout: str
    stderr: str


class Package(Protocol):
    """A package of the image."""

    is_installed: bool


class Service(Protocol):
    """A unit of the image."""

    is_enabled: bool


class Host(Protocol):
    """A tree or a machine, as testinfra asks it."""

    def file(self, path: str) -> HostFile: ...
    def run(self, command: str) -> Command: ...
    def package(self, name: str) -> Package: ...
    def service(self, name: str) -> Service: ...


def inspect(host: Host, expected: Expected) -> Iterator[str]:
    """Yield one line for each fault. Hygiene comes first: what the commands leave behind is not the image's fault."""
    yield from hygiene(host)
    yield from (f"package {name}: not installed" for name in expected.packages if not host.package(name).is_installed)
    yield from (f"service {name}: not enabled" for name in expected.services if not host.service(name).is_enabled)
    for file in expected.files:
        yield from _file(host.file(file.path), f"{file.mode:04o} {file.owner}")
    for path, points_to in expected.links:
        yield from _link(host, path, points_to)
    yield from (f"{path}: must not be there" for path in expected.absent if host.file(path).exists)
    for program in expected.programs:
        yield from _script(host, program)
    yield from _missing_units(host, expected.units)
    for command in expected.commands:
        yield from _command(host, shlex.join(command))


def _file(file: HostFile, expected: str) -> Iterator[str]:
    if not file.exists:
        yield f"{file.path}: not there"
        return
    actual = f"{file.mode:04o} {file.user}:{file.group}"
    if actual != expected:
        yield f"{file.path}: is {actual}, must be {expected}"


def _link(host: Host, path: str, points_to: str) -> Iterator[str]:
    actual = host.run(f"readlink {shlex.quote(path)}").stdout.strip()
    if actual != points_to:
        yield f"{path}: must be a link to {points_to}, not {actual or 'something else'}"


def _script(host: Host, program: str) -> Iterator[str]:
    """Yield that the interpreter of a script is missing: the kernel says that the script itself is not there."""
    line = host.run(f"sed -n '1s/^#!//p;q' {shlex.quote(program)}").stdout
    words = line.split()
    if words and words[0].endswith("/env"):
        words = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
    if "\r" in line:
        yield f"{program}: its lines end with CR LF, as on Windows: no machine finds `{words[0]}\\r`"
    elif words and host.run(f"command -v {shlex.quote(words[0])}").rc:
        yield f"{program}: its first line names {words[0]}, which the image does not have: add its package"


def _missing_units(host: Host, units: Iterable[str]) -> Iterator[str]:
    """Yield the units of the role that no folder of systemd has: the agent could not restart them."""
    for unit in units:
        name = re.sub(r"@.*(?=\.)", "@", unit)
        if not any(host.file(f"{folder}/{name}").exists for folder in UNIT_FOLDERS):
            yield f"unit {unit}: role.yaml names it, and the image does not have it"


def _command(host: Host, command: str) -> Iterator[str]:
    ended = host.run(command)
    if ended.rc:
        last = " | ".join((ended.stdout + ended.stderr).strip().splitlines()[-5:])
        yield f"`{command}` ended with {ended.rc}: {last}"


def hygiene(host: Host) -> Iterator[str]:
    """Yield one line for each fault that `host`, a host of testinfra, has."""
    for probe in (_identity, _keys, _scratch, _logs, _apt, _cloud_init, _resolver):
        yield from probe(host)


def _identity(host: Host) -> Iterator[str]:
    machine_id = host.file("/etc/machine-id")
    if not machine_id.exists or machine_id.size:
        yield "/etc/machine-id: must be there and empty, or machines share an identity"
    for path in IDENTITY:
        if host.file(path).exists:
            yield f"{path}: must not be there"
    yield from (f"{path}: named after a machine" for path in _find(host, JOURNALS, "-mindepth 1"))


def _keys(host: Host) -> Iterator[str]:
    paths = _find(host, "/etc/ssh /root /home", KEYS)
    yield from (f"{path}: a key or a history must not be in an image" for path in paths)


def _scratch(host: Host) -> Iterator[str]:
    paths = _find(host, " ".join(SCRATCH), "-mindepth 1")
    yield from (f"{path}: left behind" for path in paths)


def _logs(host: Host) -> Iterator[str]:
    yield from (f"{path}: a log of the bake" for path in _find(host, LOGS, "-type f"))


def _apt(host: Host) -> Iterator[str]:
    paths = _find(host, f"{APT_LISTS} {APT_CACHE}", "-type f")
    yield from (f"{path}: package lists and packages stay out of an image" for path in paths)


def _cloud_init(host: Host) -> Iterator[str]:
    yield from (f"{path}: cloud-init has run" for path in _find(host, "/var/lib/cloud", "-mindepth 1"))


def _resolver(host: Host) -> Iterator[str]:
    link = host.run("readlink /etc/resolv.conf").stdout.strip()
    if link != STUB:
        yield f"/etc/resolv.conf: must be a link to {STUB}, not {link or 'a file'}"


def _find(host: Host, where: str, what: str) -> list[str]:
    return sorted(host.run(f"find {where} -xdev {what} 2>/dev/null").stdout.splitlines())


def main(tree: str, file: str) -> int:
    """Print each fault and return the exit code."""
    import testinfra  # type: ignore[import-untyped]  # noqa: PLC0415 - the pure part needs none of it

    expected = from_json(Path(file).read_text())
    faults = list(inspect(testinfra.get_host(tree, connection="chroot"), expected))
    for fault in faults:
        print(fault, flush=True)  # noqa: T201 - `bake.sh` listens
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
