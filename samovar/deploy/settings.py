"""Checks the settings of a group against the JSON Schemas that its role states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from samovar.core.errors import ConfigError

if TYPE_CHECKING:
    from jsonschema import ValidationError

    from samovar.project.environment import Environment
    from samovar.project.group import Group

    Fault = tuple[Sequence[str | int], str]


class SettingsRefused(ConfigError):
    """Settings of the group are wrong. `faults` are the path of each, seen from `settings`, and what is wrong."""

    def __init__(self, environment: Environment, group: Group, faults: Sequence[Fault]) -> None:
        message = "\n".join(f"{environment.place_of_setting(group, *path)}: {what}" for path, what in faults)
        super().__init__(message, remedy=f"correct `settings:` of group {group.name}, or of its kind")
        self.group = group.name
        self.faults = faults


def check_settings(
    environment: Environment, group: Group, settings: Mapping[str, object], schemas: Mapping[str, object]
) -> None:
    """Raise SettingsRefused with `file:line: key.path` of each setting that its schema refuses."""
    if faults := tuple(_faults(settings, schemas)):
        raise SettingsRefused(environment, group, faults)


def _faults(settings: Mapping[str, object], schemas: Mapping[str, object]) -> Iterator[Fault]:
    """Yield the path of each wrong value and what is wrong with it, with what its schema says that it is."""
    validator = Draft202012Validator({"properties": schemas}, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in validator.iter_errors(settings):
        deepest = best_match([error]) or error
        yield [*deepest.absolute_path], _message(deepest)


def _message(error: ValidationError) -> str:
    schema = error.schema
    description = schema.get("description") if isinstance(schema, Mapping) else None
    return f"{error.message}; it is {description}" if description else error.message
