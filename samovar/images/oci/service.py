"""The service of an OCI image: what its configuration says of a process, in the words of systemd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from samovar.core.errors import ConfigError
from samovar.images.definition import ImageDefinition, InputFile
from samovar.images.oci.image import OciImage, Process
from samovar.images.oci.layers import Tree
from samovar.images.unit import BIND_PORTS, UNITS, Service
from samovar.project.application import Run

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What Docker sets where the image sets none."""
ROOTS_CAPABILITIES = "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETGID SETPCAP SETUID SYS_CHROOT"
"""Docker's default, but for MKNOD, NET_RAW, AUDIT_WRITE and SETFCAP, which no service needs:
https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities."""
DROP_IN = """\
# A file tree of its own: it may write there as its user may.
[Service]
ProtectSystem=no
ProtectHome=no
"""


@dataclass(frozen=True)
class Identity:
    """A user by numbers, since names of the image mean nothing on the machine; `home` is a path in the image."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def service_of(image: ImageDefinition, run: Run, oci: OciImage, tree: Tree, root: str) -> Service:
    """Return the service that runs the process of `oci` in its tree at `root`, with what `run` states instead.

    Raises ConfigError where nothing says what to run, or it is not there, or its user is not.
    """
    process = oci.process
    environment = {"PATH": PATH, **_variables(process), **run.environment}
    directory = run.directory or process.working_dir or "/"
    identity = identify(run.user or process.user or "", tree, oci.name)
    return Service(
        name=image.name,
        description=image.description,
        command=_command(run.command or _own_command(oci), tree, (environment["PATH"], directory), oci.name),
        environment={"HOME": identity.home, **environment},
        user=f"{identity.uid}:{identity.gid}",
        groups=identity.groups,
        directory=directory,
        stop_signal=run.stop_signal or process.stop_signal or "",
        more=tuple(_more(identity, root)),
    )


def drop_in(image: str) -> InputFile:
    """Return what an image's tree needs otherwise than the hardening, which comes before it."""
    return InputFile(f"{UNITS}/{image}.service.d/06-oci.conf", 0o644, "root:root", DROP_IN.encode())


def identify(user: str, tree: Tree, name: str) -> Identity:
    """Return the user that `user` or `user:group` means in the image, "" is root. Raises ConfigError for no such one.

    A number need not be known there, and has group 0 then, as in Docker.
    """
    who, _, group = user.partition(":")
    who = "0" if who in {"", "root"} else who
    column = 2 if who.isdigit() else 0
    row = next((row for row in _rows(tree, "etc/passwd") if row[column] == who), None)
    if row is None and not who.isdigit():
        raise ConfigError(f"{name}: its user {who} is not in its /etc/passwd", remedy="state application.run.user")
    uid, gid, home = (int(row[2]), int(row[3]), row[5] or "/") if row else (int(who), 0, "/")
    also = [int(each[2]) for each in _rows(tree, "etc/group") if row and row[0] in each[3].split(",")]
    groups = () if group else tuple(also)
    return Identity(uid, _group(group, tree, name) if group else gid, groups, home)


def _group(group: str, tree: Tree, name: str) -> int:
    numbers = [int(row[2]) for row in _rows(tree, "etc/group") if row[0] == group]
    if not numbers and not group.isdigit():
        raise ConfigError(f"{name}: its group {group} is not in its /etc/group", remedy="state application.run.user")
    return numbers[0] if numbers else int(group)


def _rows(tree: Tree, path: str) -> list[list[str]]:
    """Return the rows of passwd(5) or group(5) that are complete."""
    node = tree.find(path)
    rows = [line.split(":") for line in (node.data.decode(errors="replace") if node else "").splitlines()]
    columns = {"etc/passwd": 7, "etc/group": 4}[path]
    return [row for row in rows if len(row) == columns and row[2].isdigit()]


def _variables(process: Process) -> Mapping[str, str]:
    pairs = (variable.partition("=") for variable in process.env or ())
    return {key: value for key, _, value in pairs}


def _own_command(oci: OciImage) -> tuple[str, ...]:
    command = (*(oci.process.entrypoint or ()), *(oci.process.cmd or ()))
    if not command:
        raise ConfigError(
            f"{oci.name}: has neither an entrypoint nor a cmd",
            remedy="state application.run.command, or build it with one",
        )
    return command


def _command(command: tuple[str, ...], tree: Tree, places: tuple[str, str], name: str) -> tuple[str, ...]:
    """Return the command with the path of its program, found by the PATH and the working directory of `places`."""
    program, *arguments = command
    for candidate in _candidates(program, *places):
        node = tree.find(candidate)
        if node and node.entry.isreg():
            return (candidate, *arguments)
    raise ConfigError(f"{name}: {program}, which it runs, is not in it", remedy="state application.run.command")


def _candidates(program: str, path: str, directory: str) -> Iterator[str]:
    """Yield where a program may be: on the PATH for a plain name, else seen from the working directory."""
    if "/" in program:
        yield str(PurePosixPath(directory) / program)
    else:
        yield from (str(PurePosixPath(folder) / program) for folder in path.split(":") if folder.startswith("/"))


def _more(identity: Identity, root: str) -> Iterator[str]:
    yield f"RootDirectory={root}"
    yield "MountAPIVFS=yes"
    yield "BindReadOnlyPaths=-/etc/resolv.conf -/etc/hosts"
    if identity.uid == 0:
        yield f"CapabilityBoundingSet={' '.join(f'CAP_{each}' for each in ROOTS_CAPABILITIES.split())}"
    else:
        yield f"CapabilityBoundingSet={BIND_PORTS}"
        yield f"AmbientCapabilities={BIND_PORTS}"
