"""The options and arguments that commands share, and the examples below their help."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import rich_click as click

from samovar.cli.context import Choice
from samovar.core.cloud_kind import CloudKind
from samovar.core.errors import SamovarError
from samovar.core.output import Format

F = TypeVar("F", bound=Callable[..., object])
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smh]?)")
SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType):  # type: ignore[type-arg] # generic for type checkers alone
    """A duration such as 500ms, 60s, 10m or 1h; its value is in seconds. It may be none where `zero` says so."""

    name = "duration"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = DURATION.fullmatch(str(value))
        if match is None or not (self._zero or float(match[1])):
            self.fail(f"{value} is no duration: write 500ms, 60s, 10m or 1h", param, ctx)
        return float(match[1]) * SECONDS[match[2]]


def examples(*commands: str) -> str:
    """Return the epilog of a command's help: command lines that an operator may copy."""
    name = "samovar" if Path(sys.argv[0]).name == "samovar" else "./cli.py"
    return "\n\n".join(["Examples:", *(f"{name} {command}" for command in commands)])


def environment_argument(function: F) -> F:
    """Add the argument ENV, with completion."""
    return click.argument("env", metavar="ENV", shell_complete=complete_environment)(function)


def output_option(function: F) -> F:
    """Add the option `-o table|json|yaml`."""
    option = click.option(
        "-o",
        "--output",
        "fmt",
        type=click.Choice([fmt.value for fmt in Format]),
        default=Format.TABLE.value,
        show_default=True,
        callback=lambda _, __, value: Format(value),
        help="Output format.",
    )
    return option(function)


def stream_output_option(function: F) -> F:
    """Add the option `-o table|json` of commands that show one thing after another."""
    option = click.option(
        "-o",
        "--output",
        "fmt",
        type=click.Choice([Format.TABLE.value, Format.JSON.value]),
        default=Format.TABLE.value,
        show_default=True,
        help="Output format: plain lines, or a JSON object a line.",
    )
    return option(function)


def identity_option(function: F) -> F:
    """Add the option `-i` of commands that log in to machines."""
    option = click.option(
        "-i",
        "--identity",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The private key to log in with.  [default: those that ssh finds]",
    )
    return option(function)


def cloud_option(function: F) -> F:
    """Add the option `--cloud`, for commands without an environment."""
    option = click.option(
        "--cloud",
        type=click.Choice([kind.value for kind in CloudKind]),
        default=None,
        show_default="that of ENV, else local",
        help="The cloud to use.",
    )
    return option(function)


def yes_option(function: F) -> F:
    """Add the option `--yes`."""
    return click.option("--yes", is_flag=True, help="Do not ask for confirmation.")(function)


def complete_environment(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of environments that begin with `incomplete`."""
    from samovar.project.environment import environment_names

    root = context.find_root()
    try:
        project = Choice(root.params["project"], root.params["envs"], root.obj).find()
    except SamovarError:  # a shell that completes shows no errors
        return []
    return [name for name in environment_names(project.envs) if name.startswith(incomplete)]
