"""Renders the files of a role from the facts. Pure, but for reading the templates.

The tool does so too, before there is a machine, on a project that may be somebody else's: a template runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from pathlib import Path
from traceback import walk_tb
from typing import NoReturn, TypeAlias

from jinja2 import (
    Environment,
    FileSystemBytecodeCache,
    FunctionLoader,
    StrictUndefined,
    TemplateError,
    Undefined,
    UndefinedError,
)
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from . import monitoring
from .inputs import Facts
from .role import InvalidConfig, InvalidSetting, Role, Template, Value

Load: TypeAlias = Callable[[str], str | None]
"""Returns the text of a template; None where there is none of that name."""

BYTECODE = "/var/cache/samovar/templates"
"""Where an image keeps its templates as byte code: a boot would need longer to compile them than for all else here."""
BYTECODE_FILE = "sandboxed-%s.cache"
"""Byte code for the sandbox does not run outside of it: a former version of the tool shares the folder."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
QUOTED = re.compile(r'["\\$`]')
CONTROL = r"\x00-\x08\x0b-\x1f\x7f"
NO_CHARACTERS = r"\ufdd0-\ufdef" + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(0x11))
DROPPED = re.compile(f"[{CONTROL}\ud800-\udfff{NO_CHARACTERS}]")
"""systemd ignores a variable with one of these: control characters but tab and line break, and what Unicode lacks."""
FILE_NAME = "template "
"""The beginning of the names of files by which the frames of templates are known in a traceback."""


@dataclass(frozen=True)
class File:
    """A file as it should be; `owner` is `user:group`, or None for the writing user. The content may be a secret."""

    path: str
    content: str = field(repr=False)
    mode: int
    owner: str | None = None


def render(
    role: Role, settings: Mapping[str, Value], facts: Facts, load: Load, bytecode: Path | None = None
) -> tuple[File, ...]:
    """Return the files of the role; what `compile_templates` left in `bytecode` is not compiled again.

    Templates see `settings`, `machine`, `peers`, `upstreams`, `secrets` and `monitoring`; one that can do without a
    secret tests whether it is defined. The filter `environment_file` turns a mapping into a file for systemd's
    `EnvironmentFile=`; `fail("...", "routes", 0)` refuses what does not fit together, with that message and the place
    in the settings, if it is one; `text is match(pattern)` tests whether a regular expression matches at the beginning.
    Raises InvalidSetting for such a place, else InvalidConfig with the template, its line, and the name that is
    missing.
    """
    environment = _environment(load, bytecode)
    variables = {
        "settings": settings,
        "machine": facts.machine,
        "peers": facts.peers,
        "upstreams": facts.upstreams,
        "secrets": facts.secrets,
        "monitoring": facts.monitoring,
    }
    environment.globals.update(variables)
    environment.undefined = _undefined(variables)
    return (*(_render(environment, template) for template in role.templates), *_monitoring_files(facts))


def compile_templates(names: Iterable[str], load: Load, bytecode: Path) -> None:
    """Keep templates as byte code in a folder. Raises TemplateError for one that is no template."""
    bytecode.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = _environment(load, bytecode)
    for name in names:
        environment.get_template(name)


def _environment(load: Load, bytecode: Path | None) -> Environment:
    environment = SandboxedEnvironment(  # configuration files, not HTML: nothing is to be escaped
        loader=FunctionLoader(partial(_source, load)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        bytecode_cache=FileSystemBytecodeCache(str(bytecode), BYTECODE_FILE)
        if bytecode and bytecode.is_dir()
        else None,
    )
    environment.filters["environment_file"] = environment_file
    environment.tests["match"] = lambda text, pattern: re.match(pattern, text) is not None
    environment.globals["fail"] = _fail
    return environment


def _source(load: Load, name: str) -> tuple[str, str, None] | None:
    text = load(name)
    return None if text is None else (text, f"{FILE_NAME}{name}", None)


def _undefined(variables: Mapping[str, object]) -> type[Undefined]:
    """Return the class of what is undefined, whose errors say which names there are instead."""

    class Missing(StrictUndefined):
        def __init__(
            self, hint: str | None = None, obj: object = missing, name: str | None = None, exc: type = UndefinedError
        ) -> None:
            super().__init__(hint or _hint(variables, obj, str(name)), obj, name, exc)

    return Missing


def _hint(variables: Mapping[str, object], owner: object, name: str) -> str | None:
    """Return which name is missing of a variable or of what is in one; None for Jinja's own message."""
    place = next((f"{key}." for key, value in variables.items() if value is owner), "")
    names = _names(variables if owner is missing else owner)
    return f"there is no {place}{name}; there: {', '.join(sorted(names)) or 'none'}" if names is not None else None


def _names(owner: object) -> list[str] | None:
    if isinstance(owner, Mapping):
        return [str(key) for key in owner]
    return [each.name for each in fields(owner)] if is_dataclass(owner) else None


def environment_file(variables: Mapping[str, Value]) -> str:
    """Return the text of a file for `EnvironmentFile=`, sorted by name, from which each variable is read unchanged.

    systemd.exec(5) has the grammar: between double quotes a backslash escapes a quote, a dollar, a backtick or a
    backslash, and every other character stands for itself, line breaks too.
    Raises ValueError for a variable that systemd would ignore.
    """
    return "".join(f"{_variable(name)}={_quoted(name, value)}\n" for name, value in sorted(variables.items()))


def _fail(message: str, *path: str | int) -> NoReturn:
    raise InvalidSetting(message, *path) if path else InvalidConfig(message)


def _monitoring_files(facts: Facts) -> tuple[File, ...]:
    """The file by which exporters start and know where to listen; none where nobody monitors this machine."""
    collector, machine = facts.monitoring.collector, facts.machine
    if not collector:
        return ()
    variables = monitoring.environment(collector, machine.address, machine.hostname)
    return (File(monitoring.ENVIRONMENT_FILE, environment_file(variables), 0o644),)


def _render(environment: Environment, template: Template) -> File:
    try:
        content = environment.get_template(template.source).render()
    except (TemplateError, TypeError, ValueError) as error:
        what = str(error) if isinstance(error, UndefinedError) else f"{type(error).__name__}: {error}"
        raise InvalidConfig(f"{_place(error) or template.source}: {what}") from error
    return File(template.target, content, template.mode, template.owner)


def _place(error: Exception) -> str:
    """Return the template and the line at which rendering ended; "" where it did not begin."""
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    places = [f"{name.removeprefix(FILE_NAME)}:{line}" for name, line in frames if name.startswith(FILE_NAME)]
    return places[-1] if places else ""


def _variable(name: str) -> str:
    if not VARIABLE.fullmatch(str(name)):
        raise ValueError(f"{name!r} is no name of an environment variable: letters, digits and underscores")
    return name


def _quoted(name: str, value: Value | Undefined) -> str:
    if isinstance(value, Undefined):
        raise UndefinedError(f"{name}: {value._undefined_message}")  # noqa: SLF001 - what any use of it would raise
    if not isinstance(value, str | int):
        raise ValueError(f"{name}: {value!r} is no text: write it in quotes")  # noqa: TRY004 - a fault of the settings
    text = value if isinstance(value, str) else str(value).lower()  # as YAML writes true and false
    if match := DROPPED.search(text):
        raise ValueError(f"{name}: the character {match[0]!a} is not possible in a variable")
    return '"' + QUOTED.sub(r"\\\g<0>", text) + '"'
