"""Reads roles and settings: a role states its templates, their check, its units, upstreams and secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import yaml

Value: TypeAlias = "Mapping[str, Value] | Sequence[Value] | str | float | bool | None"
"""A value of YAML or JSON."""

KEYS: Mapping[str, type] = {
    "templates": list,
    "check": list,
    "units": list,
    "on_change": str,
    "defaults": dict,
    "settings": dict,
    "peers": bool,
    "upstreams": dict,
    "secrets": dict,
}
TYPES: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a mapping",
}
"""The types of YAML's values, in words."""
TEMPLATE_KEYS = {"source", "target", "mode", "owner", "units", "on_change"}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C where there is one, which is eight times as fast."""
RELOAD, RESTART = "reload", "restart"
SYSTEMCTL = {RELOAD: "try-reload-or-restart", RESTART: "try-restart"}
RESERVED = frozenset({"peers", "upstreams", "secrets", "monitoring", "disks"})
"""Keys of samovar-settings that are no settings: own group, upstreams, ids of secrets, monitoring, mounts of disks."""
KEPT = 8
"""How many texts are kept as they were read: the same role and settings are looked at every few seconds."""
NEEDS = {"required": True, "optional": False}
"""The words by which a role says whether an environment must give it an upstream or a secret."""
ANY = "*"
"""The name that stands for every other one among the upstreams or the secrets of a role."""


class InvalidConfig(Exception):
    """The role, its settings or its templates do not fit together; the message names the place and the key."""


class InvalidSetting(InvalidConfig):
    """A setting does not fit: `problem` says why, `path` leads to it in the settings."""

    def __init__(self, problem: str, *path: str | int) -> None:
        super().__init__(f"settings.{'.'.join(map(str, path))}: {problem}")
        self.problem = problem
        self.path = path


@dataclass(frozen=True)
class Template:
    """A template: `source` is a file of the templates' folder, `target` an absolute path, `mode` its permissions.

    `owner` is `user:group`, or None for the agent's own; `units` are those of the role that use the file, and
    `on_change` a key of SYSTEMCTL, how they take a change.
    """

    source: str
    target: str
    mode: int
    owner: str | None
    units: tuple[str, ...]
    on_change: str


@dataclass(frozen=True)
class Role:
    """The content of /usr/lib/samovar/roles/<role>.yaml. If a default is null, the environment must give a value.

    `schemas` are JSON Schemas of settings, by their names; the tool checks them before a machine is made.
    With `peers` the templates need the other machines of the group. `upstreams` and `secrets` are the names of what
    they need besides, and whether an environment must give it.
    """

    templates: tuple[Template, ...]
    check: tuple[str, ...]
    units: tuple[str, ...]
    defaults: Mapping[str, Value]
    schemas: Mapping[str, Value]
    peers: bool
    upstreams: Mapping[str, bool]
    secrets: Mapping[str, bool]

    def upstream_names(self, given: Iterable[str]) -> list[str]:
        """Return the names that templates see: those of the role, and those that are given besides."""
        return [name for name in dict.fromkeys((*self.upstreams, *given)) if name != ANY]

    def reload_commands(self, changed: Iterable[str]) -> Iterator[list[str]]:
        """Yield the commands that restart or reload the units of the changed targets, each unit once.

        They affect only running units, so they do nothing at boot. They do not wait: units may start after the agent.
        """
        targets = set(changed)
        affected = [template for template in self.templates if template.target in targets]
        restarted = {unit for template in affected if template.on_change == RESTART for unit in template.units}
        reloaded = {unit for template in affected for unit in template.units} - restarted
        for action, those in ((RESTART, restarted), (RELOAD, reloaded)):
            if units := [unit for unit in self.units if unit in those]:
                yield ["systemctl", "--no-block", SYSTEMCTL[action], *units]


@lru_cache(KEPT)
def read_role(text: str, where: str) -> Role:
    """Read a role. Raises InvalidConfig with `where` and the key at fault."""
    document = read_mapping(text, where)
    for key, value in document.items():
        if key not in KEYS:
            raise InvalidConfig(f"{where}: {key}: unknown; a role has {', '.join(KEYS)}")
        if not isinstance(value, KEYS[key]):
            raise InvalidConfig(f"{where}: {key}: must be {TYPES[KEYS[key]]}")
    on_change = _read_on_change(document, RESTART, where)
    defaults = mapping_of(document.get("defaults"))
    for key in RESERVED & defaults.keys():
        raise InvalidConfig(f"{where}: defaults: {key}: is no setting's name")
    schemas = mapping_of(document.get("settings"))
    for key in schemas.keys() - defaults.keys():
        raise InvalidConfig(f"{where}: settings: {key}: stands not in defaults")
    units = _texts(document.get("units", []))
    return Role(
        templates=tuple(_read_template(item, units, on_change, where) for item in _list(document.get("templates", []))),
        check=_texts(document.get("check", [])),
        units=units,
        defaults=defaults,
        schemas=schemas,
        peers=document.get("peers") is True,
        upstreams=_read_needs(document, "upstreams", where),
        secrets=_read_needs(document, "secrets", where),
    )


def read_settings(text: str, defaults: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return the settings over the role's defaults. Raises InvalidSetting for the key that does not fit."""
    given = {key: value for key, value in read_mapping(text, "samovar-settings").items() if key not in RESERVED}
    for key, value in given.items():
        if key not in defaults:
            raise InvalidSetting(f"unknown; the role knows {', '.join(defaults) or 'no settings'}", key)
        if not _fits(value, defaults[key]):
            raise InvalidSetting(f"{value!r} must be {TYPES[type(defaults[key])]}", key)
    settings = {**defaults, **given}
    for key, value in settings.items():
        if value is None:
            raise InvalidSetting("must be given", key)
    return settings


@dataclass(frozen=True)
class GroupNames:
    """The machines that a group can have: their host names are `<group>-1` to `<group>-<machines>`."""

    group: str
    machines: int


@dataclass(frozen=True)
class UpstreamSettings:
    """An upstream as the metadata state it: the one address of a balancer or of a server outside, and its machines."""

    address: str
    group: GroupNames | None

    @property
    def group_name(self) -> str:
        """Return the name of the group; empty for a server outside."""
        return self.group.group if self.group else ""


def read_peers(text: str) -> GroupNames | None:
    """Return the machine's own group, None where samovar-settings does not state it. Raises InvalidConfig."""
    given = reserved(text, "peers")
    return group_names(given, "samovar-settings: peers") if given else None


def read_upstreams(text: str, names: Iterable[str]) -> Mapping[str, UpstreamSettings]:
    """Return those of `names` that samovar-settings states, with `ANY` all of them. Raises InvalidConfig."""
    given, taken = reserved(text, "upstreams"), {*names}
    return {
        name: _upstream(value, f"samovar-settings: upstreams: {name}")
        for name, value in given.items()
        if name in taken or ANY in taken
    }


def read_secrets(text: str, names: Iterable[str]) -> Mapping[str, str]:
    """Return the ids of those of `names` that samovar-settings states, with `ANY` all of them. Raises InvalidConfig."""
    given, taken = reserved(text, "secrets"), {*names}
    for name, value in given.items():
        if not isinstance(value, str):
            raise InvalidConfig(f"samovar-settings: secrets: {name}: {value!r} must be the id of a secret")
    return {name: str(value) for name, value in given.items() if name in taken or ANY in taken}


def reserved(text: str, key: str) -> Mapping[str, Value]:
    """Return the mapping of samovar-settings under a reserved key. Raises InvalidConfig."""
    given = read_mapping(text, "samovar-settings").get(key) or {}
    if not isinstance(given, Mapping):
        raise InvalidConfig(f"samovar-settings: {key}: must be a mapping")
    return given


def _upstream(value: Value, where: str) -> UpstreamSettings:
    fields = mapping_of(value)
    address = fields.get("address", "")
    if not fields or not isinstance(address, str):
        raise InvalidConfig(f"{where}: {value!r} must be a mapping with an address, a group, or both")
    return UpstreamSettings(address, group_names(fields, where) if "group" in fields else None)


def group_names(fields: Mapping[str, Value], where: str) -> GroupNames:
    """Return the group that `fields` name. Raises InvalidConfig."""
    group, machines = fields.get("group"), fields.get("machines")
    if not isinstance(group, str) or not isinstance(machines, int) or isinstance(machines, bool):
        raise InvalidConfig(f"{where}: {fields!r} must name a group and say how many machines it can have")
    return GroupNames(group, machines)


@lru_cache(KEPT)
def read_mapping(text: str, where: str) -> Mapping[str, Value]:
    """Read a YAML mapping; an empty text is an empty mapping. Raises InvalidConfig."""
    try:
        document = yaml.load(text, LOADER)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidConfig(f"{where}: no YAML: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidConfig(f"{where}: must be a mapping of keys to values")
    return {str(key): value for key, value in document.items()}


def mapping_of(value: Value) -> Mapping[str, Value]:
    """Return a value that is a mapping; an empty one for any other value."""
    return value if isinstance(value, Mapping) else {}


def _list(value: Value) -> list[Value]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def _texts(value: Value) -> tuple[str, ...]:
    return tuple(map(str, _list(value)))


def _read_needs(document: Mapping[str, Value], key: str, where: str) -> Mapping[str, bool]:
    needs = {name: str(need) for name, need in mapping_of(document.get(key)).items()}
    for name, need in needs.items():
        if need not in NEEDS:
            raise InvalidConfig(f"{where}: {key}: {name}: {need!r} is none of {', '.join(NEEDS)}")
    return {name: NEEDS[need] for name, need in needs.items()}


def _read_on_change(fields: Mapping[str, Value], default: str, where: str) -> str:
    on_change = str(fields.get("on_change", default))
    if on_change not in SYSTEMCTL:
        raise InvalidConfig(f"{where}: on_change: {on_change!r} is none of {', '.join(SYSTEMCTL)}")
    return on_change


def _read_template(item: Value, units: tuple[str, ...], on_change: str, where: str) -> Template:
    fields, where = mapping_of(item), f"{where}: templates: {item!r}"
    owner = fields.get("owner")
    try:
        template = Template(
            source=str(fields["source"]),
            target=str(fields["target"]),
            mode=int(str(fields.get("mode", "0644")), 8),
            owner=None if owner is None else str(owner),
            units=_texts(fields["units"]) if "units" in fields else units,
            on_change=_read_on_change(fields, on_change, where),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidConfig(f"{where}: needs source, target and an octal mode in quotes") from error
    for key in fields.keys() - TEMPLATE_KEYS:
        raise InvalidConfig(f"{where}: {key}: unknown")
    for unit in set(template.units) - set(units):
        raise InvalidConfig(f"{where}: {unit}: none of the role's units")
    if template.owner is not None and template.owner.count(":") != 1:
        raise InvalidConfig(f"{where}: owner: must be user:group")
    return template


def _fits(value: Value, default: Value) -> bool:
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return default is None or type(value) is type(default)
