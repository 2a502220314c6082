"""Where credentials for Yandex Cloud are looked for, and in which order.

First a token, then a service account's key, then the active profile of the yc CLI, and last the metadata service where
we run on a machine of the cloud. Folder, cloud, zone and endpoint come from variables, or else from the same place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samovar.cloud.connection import DEFAULT_ZONE, Access, named
from samovar.cloud.instance_metadata import machine_facts, metadata_address
from samovar.core.errors import ConfigError
from samovar.core.yaml_file import load_plain

YANDEX = "api.cloud.yandex.net"
PROFILES = ".config/yandex-cloud/config.yaml"
"""Where the yc CLI keeps its profiles, below the home folder; Yandex Cloud documents the file's place and keys."""


@dataclass(frozen=True)
class Found:
    """Credentials, where they were found, and what was said beside them. Fields as those of Access."""

    source: str
    token: str = field(default="", repr=False)
    key_file: Path | None = None
    key: str = field(default="", repr=False)
    metadata: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """One place that was looked at, and what came of it."""

    name: str
    outcome: str
    used: bool = False


def find_access(variables: Mapping[str, str], *, home: Path, dmi: Path | None = None) -> Access:
    """The way into Yandex Cloud. Raises ConfigError, which names every place that was looked at, or what is missing."""
    places, found = _search(variables, home, dmi)
    if found is None:
        looked = "".join(f"\n  | {place.name}: {place.outcome}" for place in places)
        raise ConfigError(
            f"no credentials for Yandex Cloud{looked}",
            remedy="set YC_TOKEN or YC_SERVICE_ACCOUNT_KEY_FILE, or make a profile: yc init",
        )
    beside = {**found.beside, **{name: value for name, value in variables.items() if value}}
    if not beside.get("YC_FOLDER_ID"):
        raise ConfigError("no folder of Yandex Cloud", remedy="set YC_FOLDER_ID to the folder's id")
    return Access(
        endpoint=(beside.get("YC_ENDPOINT") or YANDEX).removesuffix(":443"),
        folder_id=beside["YC_FOLDER_ID"],
        cloud_id=beside.get("YC_CLOUD_ID", ""),
        zone=beside.get("YC_ZONE") or DEFAULT_ZONE,
        ca=named(variables, "SSL_CERT_FILE"),
        token=found.token,
        key_file=found.key_file,
        key=found.key,
        metadata=found.metadata,
        source=found.source,
    )


def places(variables: Mapping[str, str], *, home: Path, dmi: Path | None = None) -> tuple[Place, ...]:
    """Each place in the order of looking, with what is there."""
    return _search(variables, home, dmi)[0]


def _search(variables: Mapping[str, str], home: Path, dmi: Path | None) -> tuple[tuple[Place, ...], Found | None]:
    ways: tuple[tuple[str, Callable[[], Found | str]], ...] = (
        ("--token or YC_TOKEN", lambda: _token(variables)),
        ("YC_SERVICE_ACCOUNT_KEY_FILE", lambda: _key_file(variables)),
        (f"profile of yc (~/{PROFILES})", lambda: _profile(home / PROFILES, variables, dmi)),
        ("metadata service", lambda: _machine(variables, dmi)),
    )
    looked: list[Place] = []
    chosen: Found | None = None
    for name, look in ways:
        if chosen:
            looked.append(Place(name, "not looked at: an earlier one is used"))
            continue
        outcome = look()
        chosen = outcome if isinstance(outcome, Found) else None
        looked.append(Place(name, outcome.source if isinstance(outcome, Found) else outcome, used=chosen is not None))
    return tuple(looked), chosen


def _token(variables: Mapping[str, str]) -> Found | str:
    token = variables.get("YC_TOKEN", "")
    return Found("a token", token=token) if token else "not set"


def _key_file(variables: Mapping[str, str]) -> Found | str:
    file = named(variables, "YC_SERVICE_ACCOUNT_KEY_FILE")
    return Found(f"the key in {file}", key_file=file) if file else "not set"


def _profile(file: Path, variables: Mapping[str, str], dmi: Path | None) -> Found | str:
    """The active profile, as the yc CLI writes it."""
    if not file.exists():
        return "no such file"
    name, profile = _active(file)
    source = f"profile {name} in {file}"
    beside = {
        variable: str(profile[key])
        for variable, key in (
            ("YC_FOLDER_ID", "folder-id"),
            ("YC_CLOUD_ID", "cloud-id"),
            ("YC_ZONE", "compute-default-zone"),
            ("YC_ENDPOINT", "endpoint"),
        )
        if profile.get(key)
    }
    if token := profile.get("token"):
        return Found(source, token=str(token), beside=beside)
    if key := profile.get("service-account-key"):
        return Found(source, key=json.dumps(key, default=str), beside=beside)
    if profile.get("instance-service-account"):
        machine = _machine(variables, dmi)
        return machine if isinstance(machine, Found) else f"{source} is for a machine of the cloud: {machine}"
    if profile.get("federation-id"):
        return f"{source} is a federated user's, whose token yc alone can get: export YC_TOKEN=$(yc iam create-token)"
    return f"{source} holds neither a token nor a key"


def _active(file: Path) -> tuple[str, Mapping[str, Any]]:
    try:
        whole = load_plain(file)
        name, profiles = whole["current"], whole["profiles"]
        known = ", ".join(profiles)
    except (ConfigError, KeyError, TypeError) as error:
        why = error.message if isinstance(error, ConfigError) else error
        raise ConfigError(f"{file}: not a file of yc's profiles: {why}", remedy="make it anew: yc init") from error
    if not isinstance(profiles.get(name), Mapping):
        raise ConfigError(
            f"{file}: the active profile {name} is not there; profiles: {known or 'none'}",
            remedy="choose another: yc config profile activate NAME",
        )
    return str(name), profiles[name]


def _machine(variables: Mapping[str, str], dmi: Path | None) -> Found | str:
    address = metadata_address(variables, dmi)
    if address is None:
        return "not asked: this is no machine of Yandex Cloud"
    return Found(f"the metadata service at {address}", metadata=address, beside=machine_facts(address))
