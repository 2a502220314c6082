"""The unit of an application, made from the few keys of `run`: enabled, hardened, and checked when it is baked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from samovar.core.errors import ConfigError
from samovar.images.definition import Application, ImageDefinition, InputFile, InputLink, Script
from samovar.project.application import Format, Run

HARDENING = "/usr/lib/samovar/hardening.conf"
UNITS = "/etc/systemd/system"
ALIAS = f"{UNITS}/application.service"
"""The name by which what stands beside an application knows its unit, whatever the image is called."""
STOP_SECONDS = 30
"""After which what did not stop is killed; the default of Kubernetes, terminationGracePeriodSeconds."""
EXPOSURE, EXPOSURE_OF_OCI = 30, 45
"""What `systemd-analyze security` may find, of 100; more of a service that writes to a file tree of its own."""
ROOT = "0"
BIND_PORTS = "CAP_NET_BIND_SERVICE"
"""What every application may do: listen on ports below 1024, as it may in a container."""
PLAIN = re.compile(r"[A-Za-z0-9_./:=@,+-]+")
ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\t": r"\t"}


@dataclass(frozen=True)
class Service:
    """A unit of an application. An empty `directory` or `stop_signal` is systemd's default.

    `user` is a name, a number, or `number:number` with its group; `groups` are more of these. `more` are lines of
    [Service] for what this kind of application needs.
    """

    name: str
    description: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    user: str
    groups: tuple[int, ...] = ()
    directory: str = ""
    stop_signal: str = ""
    more: tuple[str, ...] = ()


def unit_text(service: Service) -> str:
    """Return the unit. It starts once the agent has written its files, and again whenever it ends.

    It may listen on any port and owns /var/lib/NAME; the drop-in of hardening takes the rest.
    """
    return "\n".join((*_unit(service), *_service(service), "", "[Install]", "WantedBy=multi-user.target", ""))


def with_service(image: ImageDefinition, application: Application, run: Run) -> ImageDefinition:
    """Return the image with the service of its application.

    Raises ConfigError where a file of the image has the name of that service. The unit of an OCI image depends on what
    that says, and is added when it is baked.
    """
    unit = f"{image.name}.service"
    if any(file.target == f"{UNITS}/{unit}" for file in image.files):
        raise ConfigError(
            f"image {image.name}: both application.run and a file make {unit}",
            remedy="keep the file, or application.run",
        )
    extended = image if application.format is Format.OCI else _with_unit(image, application, run)
    return replace(
        extended,
        links=(*extended.links, InputLink(f"{UNITS}/{unit}.d/05-hardening.conf", HARDENING), InputLink(ALIAS, unit)),
        services=(*extended.services, unit),
        commands=(*extended.commands, *_checks(unit, application.format)),
    )


def unit_file(service: Service) -> InputFile:
    """Return the unit as a file of the image."""
    return InputFile(f"{UNITS}/{service.name}.service", 0o644, "root:root", unit_text(service).encode())


def _checks(unit: str, format_: Format) -> tuple[tuple[str, ...], ...]:
    """Return the commands that check the unit in the finished image. `verify` looks for programs outside of a tree."""
    security = ("systemd-analyze", "security", "--offline=true")
    if format_ is Format.OCI:
        return ((*security, f"--threshold={EXPOSURE_OF_OCI}", unit),)
    return (("systemd-analyze", "verify", "--man=no", unit), (*security, f"--threshold={EXPOSURE}", unit))


def with_accounts(image: ImageDefinition, service: Service) -> ImageDefinition:
    """Return the image with the service's user and groups, made before its scripts run: these may give files to them.

    systemd starts nothing as a number that the machine has no account for. Root and what is there are left as they are.
    """
    user, _, group = service.user.partition(":")
    lines = [_add_group(number) for number in (group, *map(str, service.groups)) if number not in {"", ROOT}]
    lines += [_add_user(user, group)] if user not in {"root", ROOT} else []
    script = Script("accounts", "\n".join((*lines, "")).encode())
    return replace(image, scripts=(script, *image.scripts)) if lines else image


def _add_group(number: str) -> str:
    return f"getent group {number} >/dev/null || groupadd --system --gid {number} {_account(number)}"


def _add_user(user: str, group: str) -> str:
    number = f"--uid {user} " if user.isdigit() else ""
    own = f"--gid {group or ROOT}" if user.isdigit() else "--user-group"
    options = f"--system {number}{own} --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin"
    return f"getent passwd {user} >/dev/null || useradd {options} {_account(user)}"


def _account(name: str) -> str:
    return f"account-{name}" if name.isdigit() else name


def _with_unit(image: ImageDefinition, application: Application, run: Run) -> ImageDefinition:
    service = Service(
        name=image.name,
        description=image.description,
        command=run.command or (application.target,),
        environment=run.environment,
        user=run.user or image.name,
        directory=run.directory or _home(application),
        stop_signal=run.stop_signal or "",
    )
    program = service.command[0]
    return with_accounts(replace(image, files=(*image.files, unit_file(service)), program=program), service)


def _home(application: Application) -> str:
    """Return where the application is: the folder that was unpacked, or that of the one file; "" for a .deb."""
    if application.format is Format.FILE:
        return str(PurePosixPath(application.target).parent)
    return application.target


def _unit(service: Service) -> Iterator[str]:
    yield "# Made from application.run of image.yaml."
    yield "[Unit]"
    yield f"Description={_specifiers(service.description)}"
    yield "Wants=samovar-agent.service"
    yield "After=samovar-agent.service network.target"
    yield "StartLimitIntervalSec=0"
    yield ""


def _service(service: Service) -> Iterator[str]:
    user, _, group = service.user.partition(":")
    yield from ("[Service]", "Type=exec", f"User={user}", *([f"Group={group}"] if group else []))
    if service.groups:
        yield f"SupplementaryGroups={' '.join(map(str, service.groups))}"
    if service.directory:
        yield f"WorkingDirectory={_specifiers(service.directory)}"
    yield from (f"Environment={_quoted(f'{name}={value}')}" for name, value in service.environment.items())
    yield f"EnvironmentFile=-/etc/{service.name}/environment"
    yield f"ExecStart={' '.join(_argument(word) for word in service.command)}"
    yield from ("Restart=always", "RestartSec=1")
    yield from ("KillMode=mixed", f"TimeoutStopSec={STOP_SECONDS}")
    if service.stop_signal:
        yield f"KillSignal={service.stop_signal}"
    yield f"StateDirectory={service.name}"
    yield "PrivateTmp=yes"
    yield "RestrictAddressFamilies=AF_NETLINK"
    yield from service.more or (f"CapabilityBoundingSet={BIND_PORTS}", f"AmbientCapabilities={BIND_PORTS}")


def _argument(word: str) -> str:
    """Return a word of a command line: no specifier, no variable, no quotation mark of it means anything."""
    return word if PLAIN.fullmatch(word) else _quoted(word).replace("$", "$$")


def _quoted(text: str) -> str:
    """Return the text in quotation marks, as systemd.syntax(7) reads it."""
    escaped = "".join(ESCAPES.get(letter, letter if letter >= " " else f"\\x{ord(letter):02x}") for letter in text)
    return f'"{_specifiers(escaped)}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")
