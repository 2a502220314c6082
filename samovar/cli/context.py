"""The global options, and what commands get by them: the project, environments, sessions with clouds."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from samovar.core.output import stderr_reporter

if TYPE_CHECKING:
    from samovar.cloud.local_admin import Host
    from samovar.cloud.local_daemon import Daemon
    from samovar.cloud.session import Session
    from samovar.project.environment import Environment
    from samovar.project.project import Project


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


pass_tool = click.make_pass_decorator(Tool)
