"""Writes files as a careful person would: those of a new project, image or group, and keys added to one that exists."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml
from pydantic import BaseModel, ValidationError

from samovar.core.errors import ConfigError
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
INDENTATION = 2
Entry = tuple[yaml.ScalarNode, yaml.Node]
"""A key of the file, and its value."""


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


def with_group(text: str, lines: str) -> str:
    """Return the text with the lines of a group at the end of `groups`. Raises ConfigError where that is in braces."""
    entry = _entries(text).get("groups")
    if entry is None or _in_braces(entry[1]):
        raise ConfigError("groups: stands in braces, so nothing can be added", remedy="write one group a line")
    return _inserted(text, _end(text, entry), textwrap.indent(lines, " " * _column(entry)))


def with_secrets(text: str, secrets: Mapping[str, str]) -> str:
    """Return the text, with the missing ones of `secrets` (kinds by names) added."""
    entry = _entries(text).get("secrets")
    there = {key.value for key, _ in entry[1].value} if entry and isinstance(entry[1], yaml.MappingNode) else set()
    lines = "".join(f"{name}: {kind}\n" for name, kind in secrets.items() if name not in there)
    if not lines:
        return text
    if entry is None:
        return _inserted(text, _start(text, "groups"), "secrets:\n" + textwrap.indent(lines, " " * INDENTATION))
    if isinstance(entry[1], yaml.ScalarNode):
        return _inserted(text, entry[0].start_mark.line + 1, textwrap.indent(lines, " " * INDENTATION))
    if _in_braces(entry[1]):
        end = entry[1].end_mark.index - 1
        items = ", ".join(lines.splitlines())
        return text[:end] + (f", {items}" if there else items) + text[end:]
    return _inserted(text, _end(text, entry), textwrap.indent(lines, " " * _column(entry)))


def _entries(text: str) -> Mapping[str, Entry]:
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs: list[Entry] = document.value if isinstance(document, yaml.MappingNode) else []
    return {key.value: (key, value) for key, value in pairs}


def _in_braces(value: yaml.Node) -> bool:
    return not isinstance(value, yaml.MappingNode) or bool(value.flow_style) or not value.value


def _column(entry: Entry) -> int:
    """Return the column at which the keys of a mapping stand."""
    return int(entry[1].value[0][0].start_mark.column)


def _start(text: str, name: str) -> int:
    """Return the line at which a key begins, with the comments right above it."""
    lines, line = text.splitlines(), int(_entries(text)[name][0].start_mark.line)
    while line and lines[line - 1].startswith("#"):
        line -= 1
    return line


def _end(text: str, entry: Entry) -> int:
    """Return the line after a value, and after the comments that are indented as it is."""
    lines, last = text.splitlines(), _last(entry[1])
    line = last.end_mark.line + bool(last.end_mark.column)
    while line < len(lines) and lines[line].lstrip().startswith("#") and not lines[line].startswith("#"):
        line += 1
    return line


def _last(node: yaml.Node) -> yaml.Node:
    """Return the last value within a value; a block ends only where the next key begins."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node


def _inserted(text: str, line: int, lines: str) -> str:
    present = text.splitlines(keepends=True)
    before = "".join(present[:line])
    return before + ("" if before.endswith("\n") or not before else "\n") + lines + "".join(present[line:])
