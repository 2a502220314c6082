"""The metadata with which an instance is born, user-data included, as strings ready for the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from samovar.agent.role import RESERVED
from samovar.cloudinit.fragment import load_fragment, merge
from samovar.core.errors import ConfigError
from samovar.core.templates import load_text
from samovar.core.yaml_file import place_of
from samovar.project.environment import LIBRARY_USER_DATA

LONGEST_VALUE = 256 * 1024
LARGEST_METADATA = 512 * 1024
"""Bytes: the limits of CreateInstanceRequest.metadata."""
SHORTER = "put what is large into the image, and let the settings name it"
BRACES = "braces do not arrive at a machine, an instance group reads them as variables"
NO_BRACES = "say it without braces, or put it into the image"
NO_OS_LOGIN = {"enable-oslogin": "false"}
"""Where OS Login is on, keys in user-data count for nothing; an organization may switch it on for all new machines."""


@dataclass(frozen=True)
class Api:
    """The REST API as machines reach it, and the CA that they trust there, where it is not Yandex's own."""

    endpoint: str
    ca: str


class RefusedSetting(ConfigError):
    """A setting cannot be told to machines: `problem` says why, `path` leads to it in the settings."""

    def __init__(self, problem: str, *path: str | int, remedy: str) -> None:
        super().__init__(f"settings.{'.'.join(map(str, path))}: {problem}", remedy=remedy)
        self.problem = problem
        self.path = path


def user_data(
    template: Path = LIBRARY_USER_DATA, *, operator_keys: Sequence[str] = (), fragments: Sequence[Path] = ()
) -> str:
    """Return the cloud-config of every machine, rendered from `template`, with the `fragments`.

    With public keys of SSH it has a user `operator` who may log in with any of them. Raises ConfigError for a fragment
    that is no cloud-config, that has braces, or that contradicts the rest.
    """
    rendered = load_text(template).render(operator_keys=operator_keys)
    if not fragments:
        return rendered
    loaded = [(path, load_fragment(path)) for path in fragments]
    for path, fragment in loaded:
        for place, text in _with_braces(fragment):
            raise ConfigError(f"{place_of(path, place)}: {text!r}: {BRACES}", remedy=NO_BRACES)
    return merge(rendered, loaded)


def instance_metadata(
    role: str,
    settings: Mapping[str, object],
    api: Api | None = None,
    *,
    cloud_config: str | None = None,
    **reserved: Mapping[str, object],
) -> dict[str, str]:
    """Return the metadata of an instance template: user-data, and what the node agent reads, each where there is one.

    `cloud_config` is the user-data, if not the library's. `reserved` stands beside the settings: `peers` names the
    machine's group and says how many machines it can have, `upstreams` has the address, the group and the machines of
    each, `secrets` the id of each secret, `monitoring` who collects metrics and, told to that group, of whom; `disks`
    how each data disk is mounted.
    Raises RefusedSetting for what would not arrive at the machine as it stands here: braces, which are an instance
    group's variables, and settings named as one of those; ConfigError for values that are too long.
    """
    metadata = {
        "user-data": user_data() if cloud_config is None else cloud_config,
        "samovar-role": role,
        **NO_OS_LOGIN,
    }
    all_settings = {**settings, **_reserved(settings, reserved)}
    if all_settings:
        for path, text in _with_braces(all_settings):
            raise RefusedSetting(f"{text!r}: {BRACES}", *path, remedy=NO_BRACES)
        metadata["samovar-settings"] = _block_yaml(all_settings)
    if api:
        metadata["samovar-api"] = _block_yaml({"endpoint": api.endpoint, "ca": api.ca})
    _check(role, metadata)
    return metadata


def _check(role: str, metadata: Mapping[str, str]) -> None:
    """Refuse metadata that have braces, or that are larger than the cloud takes."""
    for key, value in metadata.items():
        if any(_with_braces(value)):
            raise ConfigError(f"metadata {key} of role {role}: {BRACES}", remedy=NO_BRACES)
        if len(value.encode()) > LONGEST_VALUE:
            raise ConfigError(f"metadata {key} of role {role}: over {LONGEST_VALUE // 1024} KB", remedy=SHORTER)
    if sum(len(value.encode()) for value in metadata.values()) >= LARGEST_METADATA:
        raise ConfigError(f"metadata of role {role}: over {LARGEST_METADATA // 1024} KB in all", remedy=SHORTER)


def _reserved(settings: Mapping[str, object], reserved: Mapping[str, Mapping[str, object]]) -> Mapping[str, object]:
    """Return those of `reserved` that are not empty. Raises ConfigError for a setting with a reserved name."""
    if taken := RESERVED & settings.keys():
        problem = "the tool itself says that to machines"
        raise RefusedSetting(problem, min(taken), remedy="give the setting another name")
    return {key: dict(value) for key, value in reserved.items() if value}


def _block_yaml(value: Mapping[str, object]) -> str:
    return yaml.safe_dump(dict(value), default_flow_style=False, sort_keys=True, allow_unicode=True)


def _with_braces(value: object, *path: str | int) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Yield what has braces with the path to it, and empty mappings, which YAML writes with braces in any style."""
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from _with_braces(child, *path, key)
            yield from _with_braces(str(key), *path)
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _with_braces(child, *path, index)
    elif value == {} or (isinstance(value, str) and ("{" in value or "}" in value)):
        yield path, value
