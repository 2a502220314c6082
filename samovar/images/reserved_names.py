"""Refuses names of images that stand for something else on a machine already: its units, its users."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from samovar.core.errors import ConfigError
from samovar.images.definition import Application
from samovar.images.unit import ALIAS
from samovar.project.application import Format, Run
from samovar.project.fields import OF_LIBRARY

ACCOUNTS = frozenset(
    """
    adm audio backup bin cdrom daemon dhcpcd dialout dip disk fax floppy games haproxy irc kmem list lp mail man
    messagebus mtail news nobody nogroup operator plugdev postgres prometheus proxy root sasl shadow src sshd ssl-cert
    staff sudo sync sys systemd-journal systemd-journal-remote systemd-network systemd-resolve systemd-timesync tape
    tty users utmp uucp video voice www-data
    """.split()  # noqa: SIM905 - a list would be sixty lines
)
"""The users and groups that images of the library have, as far as an image may have such a name."""


class ImageNameRefused(ConfigError):
    """An image cannot have `name`, that of its folder."""

    def __init__(self, name: str, problem: str, *, remedy: str) -> None:
        super().__init__(f"image {name}: {problem}", remedy=remedy)
        self.name = name


def check_folder_name(folder: Path) -> None:
    """Raise ImageNameRefused for the folder of a project's image that is named as those of the library are."""
    if folder.name.startswith(OF_LIBRARY):
        raise ImageNameRefused(
            folder.name,
            f"the names that begin with {OF_LIBRARY} are the library's",
            remedy=f"rename the folder {folder}",
        )


def check_service_name(name: str, application: Application, run: Run, inherited: Collection[str]) -> None:
    """Raise ImageNameRefused where its application's unit or user would be one that the machine has already.

    `inherited` are the units that the image has by its parents.
    """
    unit = f"{name}.service"
    if unit in {*inherited, Path(ALIAS).name}:
        raise ImageNameRefused(
            name,
            f"the unit of its application would be {unit}, which it has by its parent",
            remedy="rename the image's folder: the unit has its name",
        )
    if application.format is not Format.OCI and not run.user and name in ACCOUNTS:
        raise ImageNameRefused(
            name,
            f"its application would run as the user {name}, and Debian has such an account for others",
            remedy="rename the image's folder: the user has its name; or state application.run.user",
        )
