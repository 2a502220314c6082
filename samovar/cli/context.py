"""The parts that commands share: global options, sessions, common options, and questions to the operator."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import rich_click as click

from samovar.core.cloud_kind import CloudKind
from samovar.core.errors import ExitCode, SamovarError
from samovar.core.output import Format, stderr_reporter

if TYPE_CHECKING:
    from samovar.cloud.local_admin import Host
    from samovar.cloud.local_daemon import Daemon
    from samovar.cloud.session import Session
    from samovar.project.environment import Environment
    from samovar.project.project import Project

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True)
class Choice:
    """The options that choose the project, and the folder of the `cli.py` that was started."""

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
    opened: dict[str, Session] = field(default_factory=dict)
    """The sessions of environments, by name, and the projects that were named already: `up` is several commands."""
    named: set[Path] = field(default_factory=set)

    @cached_property
    def project(self) -> Project:
        """Return the project that commands read. Raises ConfigError where there is none."""
        return self.choice.find()

    def name_project(self) -> None:
        """Say once which project is about to be changed, unless it is the checkout that cli.py stands in."""
        folder = self.project.folder
        if folder not in {self.choice.checkout, *self.named}:
            stderr_reporter().info(f"project: {folder}")
        self.named.add(folder)

    def session(self, cloud: str) -> Session:
        """Return a session with that cloud, and start the local one if need be."""
        from samovar.cloud.connect import connect

        self.sessions.append(connect(cloud, self.home, self.token))
        return self.sessions[-1]

    def host(self) -> Host:
        """Return the admin API of the home's local cloud, which is started if need be."""
        from samovar.cloud.local_daemon import find_or_start

        return host_of(find_or_start(self.home))

    def cancel_awaited(self) -> None:
        """Cancel the operations that were awaited, after an interrupt, where the cloud can cancel them."""
        for session in self.sessions:
            for what, outcome in session.cancel_awaited().items():
                stderr_reporter().info(f"{what}: {outcome}")

    def open(self, name: str) -> tuple[Environment, Session]:
        """Return an environment, and a session with its cloud."""
        environment = self.environment(name)
        return environment, self.session_of(environment)

    def session_of(self, environment: Environment) -> Session:
        """Return a session with the environment's cloud. ConfigError where the credentials lead to another folder."""
        if environment.name not in self.opened:
            self.opened[environment.name] = self._opened(environment)
        return self.opened[environment.name]

    def _opened(self, environment: Environment) -> Session:
        from samovar.deploy.existing import use_images_folder
        from samovar.deploy.preconditions import check_folder
        from samovar.project.environment import FILE

        session = self.session(environment.cloud)
        use_images_folder(session, environment)
        if lines := check_folder(session, environment):
            file = self.project.envs / environment.name / FILE
            stderr_reporter().info(
                f"warning: {file} does not name its folder, so any credentials are accepted; add these lines:"
            )
            stderr_reporter().info("\n".join(lines))
        return session

    def environment(self, name: str) -> Environment:
        """Return an environment by its folder's name."""
        from samovar.project.environment import load_environment

        return load_environment(name, self.project)


def host_of(daemon: Daemon) -> Host:
    """Return the admin API of a daemon, by its endpoint file."""
    from samovar.cloud.local_admin import Host
    from samovar.cloud.local_rest import Rest

    return Host(Rest(daemon.rest, ca=daemon.access.ca, token=daemon.access.token))


class Declined(SamovarError):
    """The operator answered no."""

    code = ExitCode.DECLINED


class Unconfirmed(SamovarError):
    """A change that cannot be undone was not confirmed."""

    code = ExitCode.REFUSED


pass_tool = click.make_pass_decorator(Tool)


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


def agree(question: str, *, yes: bool, irreversible: bool = False) -> None:
    """Ask for confirmation on a terminal unless `yes`. Raises Declined where the answer is no.

    Off a terminal there is no question: an `irreversible` change raises Unconfirmed, and any other goes on.
    """
    if yes:
        return
    if not at_terminal():
        if irreversible:
            raise Unconfirmed(
                f"{question} Off a terminal this needs a confirmation: nothing was changed", remedy="give --yes"
            )
        return
    if not click.confirm(question, err=True):
        raise Declined("nothing was changed")


def agree_by_name(question: str, name: str, confirmed: str | None, *, yes: bool) -> None:
    """Ask for `name` on a terminal, unless it was `confirmed`. `yes` alone is Unconfirmed, for it names nothing."""
    if confirmed is None and (yes or not at_terminal()):
        raise Unconfirmed(f"{question} This needs its name: nothing was changed", remedy=f"give --confirm {name}")
    answer = click.prompt(f"{question} Type its name", err=True) if confirmed is None else confirmed
    if answer != name:
        raise Declined(f"{answer} is not {name}: nothing was changed")


def at_terminal() -> bool:
    """Return whether the operator can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def complete_environment(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of environments that begin with `incomplete`."""
    from samovar.project.environment import environment_names

    root = context.find_root()
    try:
        project = Choice(root.params["project"], root.params["envs"], root.obj).find()
    except SamovarError:  # a shell that completes shows no errors
        return []
    return [name for name in environment_names(project.envs) if name.startswith(incomplete)]
