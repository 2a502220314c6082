"""A role: which templates its image ships, how they are checked, and what runs with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from .errors import Wrong

KINDS: Mapping[str, type] = {"templates": list, "check": list, "units": list, "on_change": str, "defaults": dict}
SYSTEMCTL = {"reload": "try-reload-or-restart", "restart": "try-restart"}


@dataclass(frozen=True)
class Template:
    """`source` is a file below the templates' folder, `target` an absolute path, `mode` its permissions."""

    source: str
    target: str
    mode: int


@dataclass(frozen=True)
class Role:
    """What /usr/lib/samovar/roles/<role>.yaml says. A default of null: the environment must give a value."""

    templates: tuple[Template, ...]
    check: tuple[str, ...]
    units: tuple[str, ...]
    on_change: str
    defaults: Mapping[str, Any]

    def reload_command(self) -> list[str]:
        """Reaches only units that run, so it does nothing at boot. Not waited for: they may be ordered after us."""
        return ["systemctl", "--no-block", SYSTEMCTL[self.on_change], *self.units]


def read_role(text: str, where: str) -> Role:
    """Raises Wrong with `where` and the key at fault."""
    document = read_mapping(text, where)
    for key, value in document.items():
        if key not in KINDS:
            raise Wrong(f"{where}: {key}: unknown; a role has {', '.join(KINDS)}")
        if not isinstance(value, KINDS[key]):
            raise Wrong(f"{where}: {key}: must be a {KINDS[key].__name__}")
    on_change = document.get("on_change", "restart")
    if on_change not in SYSTEMCTL:
        raise Wrong(f"{where}: on_change: {on_change!r} is none of {', '.join(SYSTEMCTL)}")
    return Role(
        templates=tuple(_read_template(item, where) for item in document.get("templates", [])),
        check=tuple(map(str, document.get("check", []))),
        units=tuple(map(str, document.get("units", []))),
        on_change=on_change,
        defaults=document.get("defaults", {}),
    )


def read_settings(text: str, defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    """The environment's settings over the role's defaults. Raises Wrong with the key that does not fit."""
    where = "samovar-settings"
    given = read_mapping(text, where)
    for key, value in given.items():
        if key not in defaults:
            raise Wrong(f"{where}: {key}: unknown; the role knows {', '.join(defaults) or 'no settings'}")
        if not _fits(value, defaults[key]):
            raise Wrong(f"{where}: {key}: {value!r} must be of the kind of {defaults[key]!r}")
    settings = {**defaults, **given}
    for key, value in settings.items():
        if value is None:
            raise Wrong(f"{where}: {key}: must be given")
    return settings


def read_mapping(text: str, where: str) -> Mapping[str, Any]:
    """A YAML mapping; nothing at all is an empty one."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Wrong(f"{where}: no YAML: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise Wrong(f"{where}: must be a mapping of keys to values")
    return {str(key): value for key, value in document.items()}


def _read_template(item: Any, where: str) -> Template:
    try:
        return Template(item["source"], item["target"], int(str(item.get("mode", "0644")), 8))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Wrong(f"{where}: templates: {item!r}: wants source, target and an octal mode in quotes") from error


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return default is None or type(value) is type(default)
