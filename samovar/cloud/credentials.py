"""Finds the credentials for Yandex Cloud.

First a token, then a service account's key, then the active profile of the yc CLI, and last the metadata service where
we run on a machine of the cloud. Folder, cloud, zone and endpoint come from variables, or else from the same place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TypedDict

from samovar.cloud.connection import Access, named
from samovar.core import http
from samovar.core.constants import DEFAULT_ZONE
from samovar.core.errors import CloudError, ConfigError, shown_lines
from samovar.core.json_types import JsonObject, mapping_of
from samovar.core.yaml_file import load_plain

YANDEX = "api.cloud.yandex.net"
ADDRESS = "169.254.169.254"
DMI = Path("/sys/class/dmi/id")
SIGNS = ("sys_vendor", "product_name", "board_vendor")
VENDOR = "yandex"
"""What stands in the DMI of a machine of Yandex Cloud (`Yandex xeon-gold-6338`)."""
TREE = "computeMetadata/v1/instance"
METADATA_TIMEOUT = 2.0
FACTS = {"YC_FOLDER_ID": "vendor/folder-id", "YC_CLOUD_ID": "vendor/cloud-id", "YC_ZONE": "zone"}
PROFILES = ".config/yandex-cloud/config.yaml"
"""Where the yc CLI keeps its profiles, below the home folder; Yandex Cloud documents the file's place and keys."""


@dataclass(frozen=True)
class Credentials:
    """Credentials and their source. `beside` are variables such as YC_FOLDER_ID that stand at the same place."""

    source: str
    token: str = field(default="", repr=False)
    key_file: Path | None = None
    key: str = field(default="", repr=False)
    metadata: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """A place where credentials can be, and what was there."""

    name: str
    outcome: str
    used: bool = False


def find_access(variables: Mapping[str, str], *, home: Path, dmi: Path | None = None) -> Access:
    """Return the access to Yandex Cloud. Raises ConfigError, which names every place, or the missing setting."""
    places, credentials = _search(variables, home, dmi)
    if credentials is None:
        tried = shown_lines(f"{place.name}: {place.outcome}" for place in places)
        raise ConfigError(
            f"no credentials for Yandex Cloud{tried}",
            remedy="set YC_TOKEN or YC_SERVICE_ACCOUNT_KEY_FILE, or make a profile: yc init",
        )
    beside = {**credentials.beside, **{name: value for name, value in variables.items() if value}}
    if not beside.get("YC_FOLDER_ID"):
        raise ConfigError("no folder of Yandex Cloud", remedy="set YC_FOLDER_ID to the folder's id")
    return Access(
        endpoint=(beside.get("YC_ENDPOINT") or YANDEX).removesuffix(":443"),
        folder_id=beside["YC_FOLDER_ID"],
        cloud_id=beside.get("YC_CLOUD_ID", ""),
        zone=beside.get("YC_ZONE") or DEFAULT_ZONE,
        ca=named(variables, "SSL_CERT_FILE"),
        token=credentials.token,
        key_file=credentials.key_file,
        key=credentials.key,
        metadata=credentials.metadata,
        source=credentials.source,
    )


def places(variables: Mapping[str, str], *, home: Path, dmi: Path | None = None) -> tuple[Place, ...]:
    """Return each place in the order of the search, with what is there."""
    return _search(variables, home, dmi)[0]


def _search(variables: Mapping[str, str], home: Path, dmi: Path | None) -> tuple[tuple[Place, ...], Credentials | None]:
    ways: tuple[tuple[str, Callable[[], Credentials | str]], ...] = (
        ("--token or YC_TOKEN", lambda: _token(variables)),
        ("YC_SERVICE_ACCOUNT_KEY_FILE", lambda: _key_file(variables)),
        (f"profile of yc (~/{PROFILES})", lambda: _profile(home / PROFILES, variables, dmi)),
        ("metadata service", lambda: _machine(variables, dmi)),
    )
    tried: list[Place] = []
    chosen: Credentials | None = None
    for name, find in ways:
        if chosen:
            tried.append(Place(name, "not looked at: an earlier one is used"))
            continue
        outcome = find()
        chosen = outcome if isinstance(outcome, Credentials) else None
        tried.append(Place(name, chosen.source if chosen else str(outcome), used=chosen is not None))
    return tuple(tried), chosen


def _token(variables: Mapping[str, str]) -> Credentials | str:
    token = variables.get("YC_TOKEN", "")
    return Credentials("a token", token=token) if token else "not set"


def _key_file(variables: Mapping[str, str]) -> Credentials | str:
    file = named(variables, "YC_SERVICE_ACCOUNT_KEY_FILE")
    return Credentials(f"the key in {file}", key_file=file) if file else "not set"


def _profile(file: Path, variables: Mapping[str, str], dmi: Path | None) -> Credentials | str:
    """Return the active profile, as the yc CLI writes it."""
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
        return Credentials(source, token=str(token), beside=beside)
    if key := profile.get("service-account-key"):
        return Credentials(source, key=json.dumps(key, default=str), beside=beside)
    if profile.get("instance-service-account"):
        machine = _machine(variables, dmi)
        return machine if isinstance(machine, Credentials) else f"{source} is for a machine of the cloud: {machine}"
    if profile.get("federation-id"):
        return f"{source} is a federated user's, whose token yc alone can get: export YC_TOKEN=$(yc iam create-token)"
    return f"{source} holds neither a token nor a key"


def _active(file: Path) -> tuple[str, JsonObject]:
    try:
        document = mapping_of(load_plain(file))
        name, profiles = str(document["current"]), mapping_of(document["profiles"])
    except (ConfigError, KeyError, TypeError) as error:
        why = error.message if isinstance(error, ConfigError) else error
        raise ConfigError(f"{file}: not a file of yc's profiles: {why}", remedy="make it anew: yc init") from error
    profile = profiles.get(name)
    if not isinstance(profile, Mapping):
        raise ConfigError(
            f"{file}: the active profile {name} is not there; profiles: {', '.join(profiles) or 'none'}",
            remedy="choose another: yc config profile activate NAME",
        )
    return name, profile


def _machine(variables: Mapping[str, str], dmi: Path | None) -> Credentials | str:
    address = metadata_address(variables, dmi)
    if address is None:
        return "not asked: this is no machine of Yandex Cloud"
    return Credentials(f"the metadata service at {address}", metadata=address, beside=machine_facts(address))


def metadata_address(variables: Mapping[str, str], dmi: Path | None = None) -> str | None:
    """Return the address of this machine's metadata service; None where this is no machine of the cloud.

    YC_METADATA_ADDR gives it, as for the SDK, and the machine's DMI proves it. It is never asked without such a proof:
    whoever answers at that address would get our trust.
    """
    if named := variables.get("YC_METADATA_ADDR"):
        return named
    signs = " ".join(_text((dmi or DMI) / sign) for sign in SIGNS)
    return ADDRESS if VENDOR in signs.lower() else None


def machine_facts(address: str) -> Mapping[str, str]:
    """Return the folder, the cloud and the zone of the machine, by the variables that have the same meaning."""
    return {name: _ask(address, path).rpartition("/")[2] for name, path in FACTS.items()}


class _MachineToken(TypedDict):
    """The metadata service's answer, in Google's form."""

    access_token: str
    expires_in: float


def machine_token(address: str) -> tuple[str, float]:
    """Return the token of the machine's service account, and its lifetime in seconds."""
    text = _ask(address, "service-accounts/default/token")
    try:
        answer: _MachineToken = json.loads(text)
        return str(answer["access_token"]), float(answer["expires_in"])
    except (ValueError, KeyError, TypeError) as error:
        raise _failed(address, f"no token in its answer: {error}") from error


def _ask(address: str, path: str) -> str:
    try:
        url = f"http://{address}/{TREE}/{path}"
        response = http.request("GET", url, timeout=METADATA_TIMEOUT, headers={"Metadata-Flavor": "Google"})
    except OSError as error:
        raise _failed(address, str(error)) from error
    if not response.ok:
        raise _failed(address, f"{path}: {response.status} {HTTPStatus(response.status).phrase}")
    return response.text


def _failed(address: str, reason: str) -> CloudError:
    return CloudError(
        f"the metadata service at {address}: {reason}",
        remedy="attach a service account to this machine, or set YC_TOKEN or YC_SERVICE_ACCOUNT_KEY_FILE",
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
