"""What all commands share: where the local cloud lives, how data is shown, how an operator is asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from samovar.core.errors import ExitCode, SamovarError
from samovar.core.output import Format, stderr_reporter

if TYPE_CHECKING:
    from samovar.cloud.session import Session
    from samovar.project.environment import Environment
    from samovar.project.project import Project

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Choice:
    """What says where the project is: two options, and the folder of the `cli.py` that was started."""

    project: Path | None = None
    envs: Path | None = None
    checkout: Path | None = None

    def find(self) -> Project:
        """Return the project that was chosen, else the one around the working directory. Raises ConfigError."""
        from samovar.project.project import find_project

        named = self.project and self.project.absolute()
        return find_project(Path.cwd(), named=named, envs=self.envs and self.envs.absolute(), otherwise=self.checkout)


@dataclass(frozen=True)
class Tool:
    """The global options."""

    home: Path
    token: str = field(default="", repr=False)
    choice: Choice = Choice()
    sessions: list[Session] = field(default_factory=list)

    @cached_property
    def project(self) -> Project:
        """Return the project that commands read. Raises ConfigError where there is none."""
        return self.choice.find()

    def name_project(self) -> None:
        """Say which project is about to be changed, unless it is the checkout that cli.py stands in."""
        if self.project.folder != self.choice.checkout:
            stderr_reporter().info(f"project: {self.project.folder}")

    def session(self, cloud: str) -> Session:
        """A session with that cloud; the local one is started if need be."""
        from samovar.cloud.connect import connect

        self.sessions.append(connect(cloud, self.home, self.token))
        return self.sessions[-1]

    def give_up(self) -> None:
        """After an interrupt: nothing that was waited for goes on in the cloud where it can be stopped there."""
        for session in self.sessions:
            for what, outcome in session.cancel_awaited().items():
                stderr_reporter().info(f"{what}: {outcome}")

    def open(self, name: str) -> tuple[Environment, Session]:
        """An environment, and a session with the cloud that it lives in."""
        environment = self.environment(name)
        return environment, self.session_of(environment)

    def session_of(self, environment: Environment) -> Session:
        """A session with the environment's cloud. ConfigError where the credentials lead to another folder than its."""
        from samovar.deploy.preconditions import check_folder
        from samovar.project.environment import FILE

        session = self.session(environment.cloud)
        if lines := check_folder(session, environment):
            file = self.project.envs / environment.name / FILE
            stderr_reporter().info(
                f"warning: {file} does not say where it belongs, and any credentials will do; add these lines:"
            )
            stderr_reporter().info("\n".join(lines))
        return session

    def environment(self, name: str) -> Environment:
        """An environment by its folder's name."""
        from samovar.project.environment import load_environment

        return load_environment(name, self.project)


class Declined(SamovarError):
    """The operator said no."""

    code = ExitCode.DECLINED


class Unconfirmed(SamovarError):
    """What cannot be undone was asked for, and nobody confirmed it."""

    code = ExitCode.REFUSED


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
    return click.option("--yes", is_flag=True, help="Do not ask first.")(function)


def agree(question: str, *, yes: bool, irreversible: bool = False) -> None:
    """Asks on a terminal unless `yes`; Declined where the answer is no.

    Off a terminal nobody can be asked: what is `irreversible` is then Unconfirmed, and all else goes on.
    """
    if yes:
        return
    if not at_terminal():
        if irreversible:
            raise Unconfirmed(f"{question} Nobody can be asked off a terminal: nothing was done", remedy="give --yes")
        return
    if not click.confirm(question, err=True):
        raise Declined("nothing was done")


def agree_by_name(question: str, name: str, confirmed: str | None, *, yes: bool) -> None:
    """Has `name` typed on a terminal, unless it was `confirmed`; `yes` alone is Unconfirmed, for it names nothing."""
    if confirmed is None and (yes or not at_terminal()):
        raise Unconfirmed(f"{question} That takes its name: nothing was done", remedy=f"give --confirm {name}")
    answer = click.prompt(f"{question} Type its name", err=True) if confirmed is None else confirmed
    if answer != name:
        raise Declined(f"{answer} is not {name}: nothing was done")


def at_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def complete_environment(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The names of environments that begin like that."""
    from samovar.project.environment import environment_names

    root = context.find_root()
    project = Choice(root.params["project"], root.params["envs"], root.obj).find()
    return [name for name in environment_names(project.envs) if name.startswith(incomplete)]
