"""Turns an error about what a command was about to write into one whose remedy names the argument to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samovar.core.errors import ConfigError

OPTIONS = {"port": "--port", "ports": "--port", "health": "--health"}
"""The option that a setting of an application is made of."""


@dataclass(frozen=True)
class Arguments:
    """The arguments of a command that name what it writes: each group, by its name, and a database with its user."""

    groups: Mapping[str, str]
    database: str


def refusal(error: ConfigError, arguments: Arguments, image: Path | None) -> ConfigError:
    """Return the error. Where it is about a group or the image to be written, its remedy names the argument."""
    from samovar.deploy.validate import SettingsRefused
    from samovar.images.reserved_names import ImageNameRefused

    message, remedy = error.message, error.remedy
    named = [argument for name, argument in arguments.groups.items() if _is_about(name, error)]
    if isinstance(error, SettingsRefused) and error.group in arguments.groups:
        message = "; ".join(f"{'.'.join(map(str, path))}: {what}" for path, what in error.faults)
        options = dict.fromkeys(OPTIONS.get(str(path[0]), arguments.database) for path, _ in error.faults)
        remedy = f"give another {', '.join(options)}"
    elif isinstance(error, ImageNameRefused) and image and error.name == image.name:
        remedy = f"give another {arguments.groups[image.name]}: the image, its unit and its user have its name"
    elif named:
        remedy = f"{remedy}: give another {named[0]}"
    elif image and f"{image}/" in message:
        remedy = "give another --app or --command"
    return ConfigError(f"nothing was written: {message}", remedy=remedy)


def _is_about(group: str, error: ConfigError) -> bool:
    """Return whether the error is about the name of the group to be written, or that of its secret."""
    from samovar.core.validation import FileRefused
    from samovar.project.scaffold import secret_name

    names = {("groups", group), ("secrets", secret_name(group))}
    return isinstance(error, FileRefused) and not names.isdisjoint(error.locations)
