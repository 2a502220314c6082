"""The files of a new project: what a careful person would write by hand for one application behind a balancer."""

from __future__ import annotations

from dataclasses import dataclass

from samovar.core.paths import LIBRARY
from samovar.core.templates import load_text
from samovar.project.environment import FILE
from samovar.project.project import MARKER

SCAFFOLD = LIBRARY / "scaffold"
MARKER_TEXT = (
    "# This file marks the folder that it is in as a Samovar project: images/, groups/, envs/, loads/ and drills/.\n"
)
HTTP = 80


@dataclass(frozen=True)
class NewProject:
    """A project to be written. `name` is that of the project, its image and its group.

    The application is an OCI image (`oci`, by its digest), or a file or folder beside image.yaml (`source`) that goes
    to `target`; a .deb has none. Without `health`, the path of a page, a machine is well while `port` takes
    connections.
    """

    name: str
    port: int
    health: str = ""
    oci: str = ""
    source: str = ""
    target: str = ""
    command: tuple[str, ...] = ()

    @property
    def check(self) -> str:
        """Return the health check, as an environment states it."""
        page = f"port: {self.port}, path: {self.health}" if self.health else f"type: tcp, port: {self.port}"
        return f"{{{page}}}"

    @property
    def listener(self) -> str:
        """Return the listener at port 80, as an environment states it."""
        return str(HTTP) if self.port == HTTP else f"{{port: {HTTP}, target_port: {self.port}}}"


def scaffold(project: NewProject) -> dict[str, str]:
    """Return the files of the project by their paths in its folder, but for the application itself."""
    image = f"images/{project.name}"
    return {
        MARKER: MARKER_TEXT,
        f"{image}/image.yaml": _rendered("image.yaml.j2", project),
        f"{image}/role.yaml": _rendered("role.yaml.j2", project),
        f"{image}/templates/environment.j2": (SCAFFOLD / "environment.j2").read_text(),
        f"envs/dev/{FILE}": _rendered("config.yaml.j2", project),
    }


def _rendered(template: str, project: NewProject) -> str:
    return load_text(SCAFFOLD / template).render(project=project)
