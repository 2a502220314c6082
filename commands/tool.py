"""What all commands share: where the local cloud lives, how data is shown, how an operator is asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from kit.errors import ExitCode, SamovarError
from kit.output import Format, talk

if TYPE_CHECKING:
    from cloud.session import Session
    from envs.model import Environment

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Tool:
    """The global options."""

    home: Path
    envs: Path
    token: str = field(default="", repr=False)
    sessions: list[Session] = field(default_factory=list)

    def session(self, cloud: str) -> Session:
        """A session with that cloud; the local one is started if need be."""
        from cloud.connect import connect

        self.sessions.append(connect(cloud, self.home, self.token))
        return self.sessions[-1]

    def give_up(self) -> None:
        """After an interrupt: nothing that was waited for goes on in the cloud where it can be stopped there."""
        for session in self.sessions:
            for what, outcome in session.cancel_awaited().items():
                talk().say(f"{what}: {outcome}")

    def open(self, name: str) -> tuple[Environment, Session]:
        """An environment, and a session with the cloud that it lives in."""
        environment = self.environment(name)
        return environment, self.session(environment.cloud)

    def environment(self, name: str) -> Environment:
        """An environment by its folder's name."""
        from envs.load import load_environment

        return load_environment(name, self.envs)


class Declined(SamovarError):
    """The operator said no."""

    code = ExitCode.DECLINED


pass_tool = click.make_pass_decorator(Tool)


def environment_argument(function: F) -> F:
    """ENV, with completion."""
    return click.argument("env", metavar="ENV", shell_complete=complete_environment)(function)


def output_option(function: F) -> F:
    """`-o table|json|yaml`."""
    option = click.option(
        "-o",
        "--output",
        "fmt",
        type=click.Choice([fmt.value for fmt in Format]),
        default=Format.TABLE.value,
        show_default=True,
        callback=lambda _, __, value: Format(value),
        help="How the data is shown.",
    )
    return option(function)


def cloud_option(function: F) -> F:
    """`--cloud`, for what belongs to no environment."""
    option = click.option(
        "--cloud",
        type=click.Choice(["local", "yandex"]),
        default=None,
        show_default="ENV's where one is named, else local",
        help="Which cloud.",
    )
    return option(function)


def yes_option(function: F) -> F:
    """`--yes`."""
    return click.option("--yes", is_flag=True, help="Do not ask first (off a terminal nothing is asked).")(function)


def agree(question: str, *, yes: bool) -> None:
    """Asks on a terminal unless `yes`; Declined where the answer is no."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    if not click.confirm(question, err=True):
        raise Declined("nothing was done")


def complete_environment(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The names of environments that begin like that."""
    from envs.load import environment_names

    folder = context.find_root().params["envs"]
    return [name for name in environment_names(folder) if name.startswith(incomplete)]
