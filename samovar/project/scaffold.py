"""The files of a new project, image or group: what a careful person would write by hand."""

from __future__ import annotations

from dataclasses import dataclass

from samovar.core.paths import LIBRARY
from samovar.core.templates import load_text
from samovar.project.environment import FILE
from samovar.project.environment_options import SecretKind
from samovar.project.project import MARKER

SCAFFOLD = LIBRARY / "scaffold"
MARKER_TEXT = (
    "# This file marks the folder that it is in as a Samovar project: images/, groups/, envs/, loads/ and drills/.\n"
)
HTTP, OTHER_HTTP = 80, 8080


@dataclass(frozen=True)
class NewDatabase:
    """A group of PostgreSQL to be written. Its database and the user who owns it bear the name `name`."""

    group: str
    name: str

    @property
    def secret(self) -> str:
        """Return the name of the user's password among the secrets of the environment."""
        return f"{identifier(self.group)}_password"

    @property
    def secrets(self) -> dict[str, str]:
        """Return what the environment's `secrets` must have."""
        return {self.secret: SecretKind.PASSWORD.value}


@dataclass(frozen=True)
class NewEdge:
    """A group of edges to be written, before the group `upstream`."""

    group: str
    upstream: str


@dataclass(frozen=True)
class NewApplication:
    """An application to be written. `name` is that of its image and its group.

    The application is an OCI image (`oci`, by its digest), or a file or folder beside image.yaml (`source`) that goes
    to `target`; a .deb has none. The archive or layout of an OCI image is a `source` as well. A worker has no `port`.
    Without `health`, the path of a page, a machine is well while the port takes connections. With a `database` its
    environment says where that is.
    """

    name: str
    port: int = 0
    health: str = ""
    oci: str = ""
    source: str = ""
    target: str = ""
    command: tuple[str, ...] = ()
    database: NewDatabase | None = None

    @property
    def proxy_port(self) -> int:
        """Return the port of a machine to which the balancer sends: that of the proxy before the application."""
        return OTHER_HTTP if self.port == HTTP else HTTP


def identifier(name: str) -> str:
    """Return the name of a group as one of PostgreSQL or of a secret, which have no hyphen."""
    return name.replace("-", "_")


def project_files(app: NewApplication) -> dict[str, str]:
    """Return the files of a project of one application, by their paths in its folder."""
    groups = [app_group(app), *([database_group(app.database)] if app.database else [])]
    secrets = app.database.secrets if app.database else {}
    config = _rendered("config.yaml.j2", secrets=secrets, groups=groups)
    return {MARKER: MARKER_TEXT, **image_files(app), f"envs/dev/{FILE}": config}


def image_files(app: NewApplication) -> dict[str, str]:
    """Return the files of the image, by their paths in the project, but for the application itself."""
    image = f"images/{app.name}"
    files = {f"{image}/image.yaml": _rendered("image.yaml.j2", app=app)}
    if app.database:
        files[f"{image}/role.yaml"] = _rendered("database-role.yaml.j2", app=app)
        files[f"{image}/templates/environment.j2"] = (SCAFFOLD / "database-environment.j2").read_text()
    return files


def app_group(app: NewApplication) -> str:
    """Return the lines of the application's group in an environment, not indented."""
    return _rendered("groups/app.yaml.j2" if app.port else "groups/worker.yaml.j2", app=app)


def database_group(database: NewDatabase) -> str:
    """Return the lines of the database's group in an environment, not indented."""
    return _rendered("groups/postgres.yaml.j2", database=database)


def edge_group(edge: NewEdge) -> str:
    """Return the lines of the edges' group in an environment, not indented."""
    return _rendered("groups/edge.yaml.j2", edge=edge)


def _rendered(template: str, **values: object) -> str:
    return load_text(SCAFFOLD / template).render(**values)
