"""The keys of `images/<name>/image.yaml`; the rest of an image is the content of its folder."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from samovar.project.fields import Strict


def _absolute(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path} is not an absolute path in the image")
    return path


def _relative(path: str) -> str:
    if path.startswith("/"):
        raise ValueError(f"{path} is not a path in this project")
    return path


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"one line of printable characters; not {text!r}")
    return text


Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+:@_-]*$")]
ImageName = Annotated[str, StringConstraints(pattern=r"^(samovar/)?[a-z][a-z0-9-]{0,40}$")]
Line = Annotated[str, AfterValidator(_one_line)]
Target = Annotated[Line, AfterValidator(_absolute)]
"""An absolute path in the image."""
Source = Annotated[Line, AfterValidator(_relative)]
"""A path in the project, seen from the folder of the image."""
Mode = Annotated[str, StringConstraints(pattern="^0[0-7]{3}$")]
Owner = Annotated[str, StringConstraints(pattern="^[a-z_][a-z0-9_-]*:[a-z_][a-z0-9_-]*$")]


class File(Strict):
    """A file or folder that lies elsewhere in the project than in `rootfs/`, or that is not root's."""

    source: Source = Field(description="the file or folder, seen from the folder of the image")
    target: Target = Field(description="its path in the image")
    mode: Mode | None = Field(default=None, description='such as "0640"; else 0755 if it is executable, or 0644')
    owner: Owner = Field(default="root:root", description="user and group, by names that the image knows")


class Zipapp(Strict):
    """A program in Python that is built into one executable file, as the module `zipapp` does."""

    source: Source = Field(description="the folder of its package, seen from the folder of the image")
    main: Annotated[str, StringConstraints(pattern=r"^[a-z_][\w.]*:[a-z_]\w*$")] = Field(
        description="`package.module:function`: called with the arguments, it returns the exit code"
    )
    libraries: tuple[Word, ...] = Field(
        default=(), description="distributions of pure Python that go into it, as they are installed beside samovar"
    )


class Application(Strict):
    """The program that an image ships: fetched by `url` and known by its `sha256`, or built as a `zipapp`."""

    target: Target = Field(description="its path in the image")
    url: Annotated[str, StringConstraints(pattern=r"^(https|file)://[^\s]+$")] | None = Field(
        default=None, description="where it is fetched from: https:// or file://"
    )
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="the digest of what the url leads to"
    )
    zipapp: Zipapp | None = Field(default=None, description="a program of this project that is shipped instead")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.url is None) != (self.sha256 is None):
            raise ValueError("url and sha256 go together")
        if (self.url is None) == (self.zipapp is None):
            raise ValueError("an application has either url and sha256, or a zipapp")
        return self


class Checks(Strict):
    """The checks of a finished image beyond packages, files, services and hygiene, which are always checked."""

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
    packages: tuple[Word, ...] = Field(default=(), description="Debian packages, installed first")
    files: tuple[File, ...] = Field(default=(), description="files that do not lie in rootfs/, or that are not root's")
    links: dict[Target, Line] = Field(default={}, description="symbolic links: their paths, and what they point to")
    modes: dict[Target, Mode] = Field(default={}, description="modes of files of rootfs/ other than 0755 and 0644")
    services: tuple[Word, ...] = Field(default=(), description="systemd units that are enabled")
    scripts: tuple[Source, ...] = Field(
        default=(), description="scripts of elsewhere that run before those of scripts/, inside the image"
    )
    application: Application | None = Field(default=None, description="a program that is not a file of this folder")
    borrow: Word | None = Field(
        default=None, description="the image whose application is at /tmp/application while this one is baked"
    )
    checks: Checks = Field(default=Checks(), description="what is checked in the finished image")

    @model_validator(mode="after")
    def _root_or_child(self) -> Self:
        if (self.parent is None) == (self.suite is None):
            raise ValueError("an image has either a parent or, as a root, a suite of Debian")
        return self
