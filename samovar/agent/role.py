"""Reads roles and settings: a role states its templates, their check, its units, peers and secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

KEYS: Mapping[str, type] = {
    "templates": list,
    "check": list,
    "units": list,
    "on_change": str,
    "defaults": dict,
    "peers": list,
    "secrets": list,
}
TEMPLATE_KEYS = {"source", "target", "mode", "owner", "units"}
SYSTEMCTL = {"reload": "try-reload-or-restart", "restart": "try-restart"}
RESERVED: Mapping[str, type] = {"peers": int, "secrets": str}
"""Keys of samovar-settings that are no settings: a group's greatest number of machines, a secret's id, each by name."""


class InvalidConfig(Exception):
    """The role, its settings or its templates do not fit together; the message names the place and the key."""


@dataclass(frozen=True)
class Template:
    """A template: `source` is a file of the templates' folder, `target` an absolute path, `mode` its permissions.

    `owner` is `user:group`, or None for the agent's own; `units` are those of the role that use the file.
    """

    source: str
    target: str
    mode: int
    owner: str | None
    units: tuple[str, ...]


@dataclass(frozen=True)
class Role:
    """The content of /usr/lib/samovar/roles/<role>.yaml. If a default is null, the environment must give a value.

    `peers` are groups whose machines the templates need, `secrets` names of secrets; an environment may lack any of
    them.
    """

    templates: tuple[Template, ...]
    check: tuple[str, ...]
    units: tuple[str, ...]
    on_change: str
    defaults: Mapping[str, Any]
    peers: tuple[str, ...]
    secrets: tuple[str, ...]

    def reload_command(self, changed: Iterable[str]) -> list[str]:
        """Return the command that reloads the units of the changed targets; empty if there are none.

        It affects only running units, so it does nothing at boot. It does not wait: they may start after the agent.
        """
        targets = set(changed)
        affected = {unit for template in self.templates if template.target in targets for unit in template.units}
        units = [unit for unit in self.units if unit in affected]
        return ["systemctl", "--no-block", SYSTEMCTL[self.on_change], *units] if units else []


def read_role(text: str, where: str) -> Role:
    """Read a role. Raises InvalidConfig with `where` and the key at fault."""
    document = read_mapping(text, where)
    for key, value in document.items():
        if key not in KEYS:
            raise InvalidConfig(f"{where}: {key}: unknown; a role has {', '.join(KEYS)}")
        if not isinstance(value, KEYS[key]):
            raise InvalidConfig(f"{where}: {key}: must be a {KEYS[key].__name__}")
    on_change = document.get("on_change", "restart")
    if on_change not in SYSTEMCTL:
        raise InvalidConfig(f"{where}: on_change: {on_change!r} is none of {', '.join(SYSTEMCTL)}")
    defaults = document.get("defaults", {})
    for key in RESERVED.keys() & defaults.keys():
        raise InvalidConfig(f"{where}: defaults: {key}: is no setting's name")
    units = tuple(map(str, document.get("units", [])))
    return Role(
        templates=tuple(_read_template(item, units, where) for item in document.get("templates", [])),
        check=tuple(map(str, document.get("check", []))),
        units=units,
        on_change=on_change,
        defaults=defaults,
        peers=tuple(map(str, document.get("peers", []))),
        secrets=tuple(map(str, document.get("secrets", []))),
    )


def read_settings(text: str, defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings over the role's defaults. Raises InvalidConfig with the key that does not fit."""
    where = "samovar-settings"
    given = {key: value for key, value in read_mapping(text, where).items() if key not in RESERVED}
    for key, value in given.items():
        if key not in defaults:
            raise InvalidConfig(f"{where}: {key}: unknown; the role knows {', '.join(defaults) or 'no settings'}")
        if not _fits(value, defaults[key]):
            raise InvalidConfig(f"{where}: {key}: {value!r} must be of the kind of {defaults[key]!r}")
    settings = {**defaults, **given}
    for key, value in settings.items():
        if value is None:
            raise InvalidConfig(f"{where}: {key}: must be given")
    return settings


def read_reserved(text: str, key: str, names: Iterable[str]) -> Mapping[str, Any]:
    """Return the values of `names` under a reserved key of samovar-settings. Raises InvalidConfig."""
    where = f"samovar-settings: {key}"
    given = read_mapping(text, "samovar-settings").get(key) or {}
    if not isinstance(given, dict):
        raise InvalidConfig(f"{where}: must be a mapping")
    for name, value in given.items():
        if type(value) is not RESERVED[key]:
            raise InvalidConfig(f"{where}: {name}: {value!r} must be of the kind {RESERVED[key].__name__}")
    return {name: given[name] for name in names if name in given}


def read_mapping(text: str, where: str) -> Mapping[str, Any]:
    """Read a YAML mapping; an empty text is an empty mapping. Raises InvalidConfig."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidConfig(f"{where}: no YAML: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidConfig(f"{where}: must be a mapping of keys to values")
    return {str(key): value for key, value in document.items()}


def _read_template(item: Any, units: tuple[str, ...], where: str) -> Template:
    try:
        template = Template(
            source=item["source"],
            target=item["target"],
            mode=int(str(item.get("mode", "0644")), 8),
            owner=item.get("owner"),
            units=tuple(item.get("units", units)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidConfig(
            f"{where}: templates: {item!r}: needs source, target and an octal mode in quotes"
        ) from error
    for key in item.keys() - TEMPLATE_KEYS:
        raise InvalidConfig(f"{where}: templates: {item!r}: {key}: unknown")
    for unit in set(template.units) - set(units):
        raise InvalidConfig(f"{where}: templates: {item!r}: {unit}: none of the role's units")
    if template.owner is not None and template.owner.count(":") != 1:
        raise InvalidConfig(f"{where}: templates: {item!r}: owner: must be user:group")
    return template


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return default is None or type(value) is type(default)
