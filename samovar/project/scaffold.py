"""Makes the texts of the files of a new project, image or group, as a careful person would write them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from samovar.core.paths import LIBRARY
from samovar.core.templates import load_text
from samovar.project.environment import FILE
from samovar.project.environment_options import SecretKind
from samovar.project.project import MARKER

if TYPE_CHECKING:
    from samovar.project.group import Group

SCAFFOLD = LIBRARY / "scaffold"
MARKER_TEXT = (
    "# This file marks the folder that it is in as a Samovar project: images/, groups/, envs/, loads/ and drills/.\n"
)
HTTP, OTHER_HTTP = 80, 8080


@dataclass(frozen=True)
class Database:
    """A database of a group of PostgreSQL, the user who owns it, and the secret with the password."""

    group: str
    name: str
    user: str
    secret: str

    @property
    def secrets(self) -> dict[str, str]:
        """Return what the environment's `secrets` must have."""
        return {self.secret: SecretKind.PASSWORD.value}


@dataclass(frozen=True)
class NewEdge:
    """A group of edges to be written, before the group `upstream`, whose machines they ask at `fallback_port`.

    That is 0 where only its balancer is asked.
    """

    group: str
    upstream: str
    fallback_port: int = 0


@dataclass(frozen=True)
class NewApplication:
    """An application to be written. `name` is that of its image and its group.

    The application is an OCI image (`oci`, by its digest), a file or folder beside image.yaml (`source`), or what a
    `url` leads to (with its `sha256`). It goes to `target`; a .deb has none. The archive or layout of an OCI image is
    a `source` as well. A worker has no `port`, and one machine instead of `size`. Without `health`, the path of a page,
    a machine is well while the port takes connections. A `public` application has a public address; any other gets
    requests from groups alone. With a `database` its environment variables state where that is.
    """

    name: str
    port: int = 0
    health: str = ""
    oci: str = ""
    source: str = ""
    url: str = ""
    sha256: str = ""
    target: str = ""
    command: tuple[str, ...] = ()
    public: bool = True
    size: int = 2
    database: Database | None = None

    @property
    def proxy_port(self) -> int:
        """Return the port of a machine to which the balancer sends: that of the proxy before the application."""
        return OTHER_HTTP if self.port == HTTP else HTTP


def new_database(group: str, name: str) -> Database:
    """Return the database of a group that is to be written. It and the user who owns it bear the name `name`."""
    return Database(group, _identifier(name), _identifier(name), secret_name(group))


def secret_name(group: str) -> str:
    """Return the name of the secret with the password of the database of a group."""
    return f"{_identifier(group)}_password"


def find_database(group: Group) -> Database | None:
    """Return the first database that the settings of a group of PostgreSQL state, with its owner; None without one."""
    with suppress(ValidationError):
        settings = _PostgresSettings.model_validate(group.settings)
        secrets = {user.name: group.secrets[user.secret] for user in settings.users if user.secret in group.secrets}
        for each in settings.databases:
            if each.owner in secrets:
                return Database(group.name, each.name, each.owner, secrets[each.owner])
    return None


class _User(BaseModel):
    name: str
    secret: str


class _Owned(BaseModel):
    name: str
    owner: str


class _PostgresSettings(BaseModel):
    databases: tuple[_Owned, ...] = ()
    users: tuple[_User, ...] = ()


def _identifier(name: str) -> str:
    """Return the name of a group as one of PostgreSQL or of a secret, which have no hyphen."""
    return name.replace("-", "_")


def project_files(app: NewApplication, environment: str) -> dict[str, str]:
    """Return the files of a project of one application and one environment, by their paths in its folder."""
    groups = [app_group(app), *([database_group(app.database)] if app.database else [])]
    secrets = app.database.secrets if app.database else {}
    config = _rendered("config.yaml.j2", environment=environment, secrets=secrets, groups=groups)
    return {MARKER: MARKER_TEXT, **image_files(app), f"envs/{environment}/{FILE}": config}


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


def database_group(database: Database) -> str:
    """Return the lines of the database's group in an environment, not indented."""
    return _rendered("groups/postgres.yaml.j2", database=database)


def edge_group(edge: NewEdge) -> str:
    """Return the lines of the edges' group in an environment, not indented."""
    return _rendered("groups/edge.yaml.j2", edge=edge)


def _rendered(template: str, **values: object) -> str:
    return load_text(SCAFFOLD / template).render(**values)
