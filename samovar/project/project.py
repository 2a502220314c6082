"""A project is the folder that an operator owns: images, kinds of group, environments and the cloud-init template."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from samovar.core.errors import ConfigError
from samovar.core.paths import PACKAGE, foreign_owner

MARKER = "samovar.yaml"
REMEDY = f"change to a folder of a project, name one by --project or SAMOVAR_PROJECT, or make one: touch {MARKER}"


@dataclass(frozen=True)
class Project:
    """A project in `folder`. Its environments stand in `envs`, which need not be a part of it."""

    folder: Path
    envs: Path

    @property
    def images(self) -> Path:
        """Return the folder that has one folder for each image."""
        return self.folder / "images"

    @property
    def groups(self) -> Path:
        """Return the folder that has one file for each kind of group."""
        return self.folder / "groups"

    @property
    def loads(self) -> Path:
        """Return the folder that has one file for each load profile."""
        return self.folder / "loads"

    @property
    def drills(self) -> Path:
        """Return the folder that has one file for each drill."""
        return self.folder / "drills"

    @property
    def cloudinit(self) -> Path:
        """Return the folder of the template of user-data and of its fragments."""
        return self.folder / "cloudinit"

    @property
    def user_data(self) -> Path:
        """Return the template of user-data, which need not be there."""
        return self.cloudinit / "user-data.yaml.j2"


def find_project(
    start: Path, *, named: Path | None = None, envs: Path | None = None, otherwise: Path | None = None
) -> Project:
    """Return the project that is `named`, else the one that `start` is in, else the one in the folder `otherwise`.

    `envs` is the folder of its environments, if not its own folder envs/.
    Raises ConfigError where there is no project: a project is a folder with a file `samovar.yaml`; and where `start`
    is in one that another user made, as anybody can in /tmp: what it says is run, so it has to be named.
    """
    if named and not (named / MARKER).is_file():
        raise ConfigError(f"{named} is no project: it has no {MARKER}", remedy=REMEDY)
    folder = named or _above(start) or otherwise
    if folder is None:
        raise ConfigError(f"no project: neither {start} nor a folder above it has a {MARKER}", remedy=REMEDY)
    if folder not in {named, otherwise}:
        _check_owner(folder)
    return Project(folder, envs or folder / "envs")


def _check_owner(folder: Path) -> None:
    """Raise ConfigError for a project that another user made, unless this program is a part of it."""
    owner = foreign_owner(folder / MARKER)
    if owner and folder.resolve() != PACKAGE.parent:
        raise ConfigError(
            f"{folder / MARKER} belongs to {owner}, and a project says what is run here",
            remedy=f"if it is the one that you mean, name it: --project {folder}",
        )


def _above(start: Path) -> Path | None:
    return next((folder for folder in (start, *start.parents) if (folder / MARKER).is_file()), None)
