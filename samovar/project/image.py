"""The keys of an image's two files, `image.yaml` and `role.yaml`; the rest of an image is the content of its folder.

Those of role.yaml are here for the reference and the JSON Schema: the agent in the machine and the tool read it by one
code, `samovar.agent.role`. A test holds the keys here to the agent's.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from samovar.project.application import Application
from samovar.project.fields import (
    DataFormat,
    ImageName,
    Line,
    Mode,
    Owner,
    Package,
    Source,
    Strict,
    Target,
    Version,
    Word,
)

Need = Literal["required", "optional"]
"""Whether an environment must give what a role asks for."""


class File(Strict):
    """A file or folder that lies elsewhere in the project than in `rootfs/`, or that is not root's."""

    source: Source = Field(description="the file or folder, seen from the folder of the image")
    target: Target = Field(description="its path in the image")
    mode: Mode | None = Field(default=None, description='such as "0640"; else 0755 if it is executable, or 0644')
    owner: Owner = Field(default="root:root", description="user and group, by names that the image knows")


class Repository(Strict):
    """A repository of packages beside Debian's, known to this image and to those that build on it."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")] = Field(
        description="its address: https:// or http://"
    )
    suite: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9./_-]+$")] = Field(
        description="the suite, such as `trixie`; one that ends with / is the path of a flat repository"
    )
    components: tuple[Word, ...] = Field(default=("main",), description="its components; a flat repository has none")
    key: Source = Field(description="the file of the public key that signs it, seen from the folder of the image")


class Checks(Strict):
    """The checks of a finished image beyond packages, files, services and hygiene, which are always checked."""

    dry_runs: tuple[dict[str, object], ...] = Field(
        default=(),
        description="settings with which the agent renders and checks the role in the finished image, before "
        "`commands`: `{}` for the defaults; `upstreams` are written `{NAME: {group: GROUP, machines: 2}}`, and "
        "`secrets` as what is in them",
    )
    commands: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(
        default=(), description="commands, each a list of words, that must succeed in the finished image"
    )
    absent: tuple[Target, ...] = Field(default=(), description="paths that the image must not have")


class Image(Strict):
    """An image: what `image.yaml` says beside the files of its folder."""

    description: Annotated[Line, Field(max_length=200)] = Field(description="one line for people")
    parent: ImageName | None = Field(
        default=None, description="the image that this one builds on: one of images/, or `samovar/base` of the library"
    )
    suite: Word | None = Field(default=None, description="instead of a parent: the suite of Debian of a root image")
    version: Version | None = Field(
        default=None,
        description="the version of the program that its packages bring; `{version}` in `packages`, `data_format` and "
        "`checks.absent` stands for it. In another one than the parent's, all that the parent adds to its own parent "
        "is made anew",
    )
    data_format: DataFormat | None = Field(
        default=None,
        description="the format of what its machines keep on a data disk with `seed: once`, such as "
        "`postgresql-{version}`; else the parent's. `plan` refuses an image of another format for a disk that has rows",
    )
    packages: tuple[Package, ...] = Field(default=(), description="Debian packages, installed first")
    repositories: tuple[Repository, ...] = Field(
        default=(),
        description="repositories of packages beside Debian's; packages and a .deb's needs come from them too",
    )
    files: tuple[File, ...] = Field(default=(), description="files that do not lie in rootfs/, or that are not root's")
    links: dict[Target, Line] = Field(default={}, description="symbolic links: their paths, and what they point to")
    modes: dict[Target, Mode] = Field(default={}, description="modes of files of rootfs/ other than 0755 and 0644")
    services: tuple[Word, ...] = Field(default=(), description="systemd units that are enabled")
    scripts: tuple[Source, ...] = Field(
        default=(), description="scripts of elsewhere that run before those of scripts/, inside the image"
    )
    application: Application | None = Field(default=None, description="the program that it ships, and how it is run")
    borrow: Word | None = Field(
        default=None, description="the image whose application is at /tmp/application while this one is baked"
    )
    checks: Checks = Field(default=Checks(), description="what is checked in the finished image")

    @model_validator(mode="after")
    def _root_or_child(self) -> Self:
        if (self.parent is None) == (self.suite is None):
            raise ValueError("an image has either a parent or, as a root, a suite of Debian")
        if self.suite and self.repositories:
            raise ValueError("a root image is Debian's alone: name the repositories in an image that builds on it")
        if self.suite and self.version:
            raise ValueError("a root image has no version: state it in an image that builds on it")
        if self.version and self.application:
            raise ValueError("version is of packages: an application has its own by where it comes from")
        return self


class RoleTemplate(Strict):
    """A template that the agent renders."""

    source: str = Field(description="a file of templates/")
    target: Target = Field(description="the path of what is rendered")
    mode: Mode = Field(default="0644", description="permissions")
    owner: Owner | None = Field(default=None, description="user and group; without it root's")
    units: tuple[str, ...] | None = Field(
        default=None, description="the units of the role that use the file; without it all of them"
    )
    on_change: Literal["reload", "restart"] | None = Field(
        default=None, description="how those units take a change; without it as the role's `on_change` says"
    )


class Role(Strict):
    """The role of the machines of an image: what the agent in them renders, checks and reloads."""

    templates: tuple[RoleTemplate, ...] = Field(default=(), description="the templates")
    check: tuple[str, ...] = Field(
        default=(), description="a command, as a list of words, that must accept what was rendered before it is used"
    )
    units: tuple[str, ...] = Field(default=(), description="systemd units that are reloaded when their files change")
    on_change: Literal["reload", "restart"] = Field(default="restart", description="how the units take a change")
    defaults: dict[str, object] = Field(
        default={}, description="the settings and their defaults; null where the environment must give a value"
    )
    settings: dict[str, dict[str, object]] = Field(
        default={},
        description="a JSON Schema of each setting whose form its default does not show; `plan` checks it, and a fault "
        "is shown with the `description` there",
    )
    peers: bool = Field(default=False, description="`true` if the templates need the other machines of the group")
    upstreams: dict[str, Need] = Field(
        default={},
        description="the services that the machines ask, by the names that the templates use; an environment binds "
        'each to a group or to a server outside. `required`, or `optional`; `"*": optional` for any other name',
    )
    secrets: dict[str, Need] = Field(
        default={},
        description="the secrets that the templates use, each `required` or `optional`; "
        '`"*": optional` for any other name',
    )
