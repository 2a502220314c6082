"""Fragments: files of cloud-config in a project's `cloudinit/`, merged into the user-data of a group's machines.

The keys and their types are those of cloud-init's own schema, but for modules of other distributions. Pure, but for the
reading of files.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from samovar.core.errors import ConfigError
from samovar.core.json_types import Json, JsonObject
from samovar.core.yaml_file import load_plain, place_of

HEADER = "#cloud-config"
LISTS = "bootcmd fs_setup groups mounts mount_default_fields packages runcmd ssh_authorized_keys users write_files"
MAPPINGS = (
    "ansible apt ca_certs chef chpasswd device_aliases disk_setup growpart keyboard landscape mcollective ntp "
    "phone_home power_state puppet random_seed resolv_conf rsyslog salt_minion ssh ssh_keys swap wireguard"
)
SCALARS = (
    "allow_public_ssh_keys apt_pipelining disable_root disable_root_opts final_message fqdn hostname locale "
    "locale_configfile manage_etc_hosts manage_resolv_conf no_ssh_fingerprints package_reboot_if_required "
    "package_update package_upgrade prefer_fqdn_over_hostname preserve_hostname resize_rootfs ssh_deletekeys "
    "ssh_pwauth ssh_quiet_keygen timezone"
)
TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(LISTS.split(), (list,)),
    **dict.fromkeys(MAPPINGS.split(), (dict,)),
    **dict.fromkeys(SCALARS.split(), (str, bool, int)),
}
WORDS: Mapping[type, str] = {list: "a list", dict: "a mapping", str: "text, a number, true or false"}


def load_fragment(path: Path) -> JsonObject:
    """Read a fragment. Raises ConfigError with file and line for what cloud-init would not take for cloud-config."""
    value = load_plain(path)
    if path.read_text().partition("\n")[0].rstrip() != HEADER:
        raise ConfigError(f"{path}:1: not cloud-config", remedy=f"let its first line be {HEADER}")
    if not isinstance(value, dict) or not value:
        raise ConfigError(f"{path}:1: cloud-config is a mapping of keys such as runcmd", remedy="write one")
    for key, part in value.items():
        _check_key(path, key, part)
    return value


def merge(base: str, fragments: Iterable[tuple[Path, JsonObject]]) -> str:
    """Return the user-data `base` with what the fragments say: lists are joined, mappings merged key by key.

    Raises ConfigError where a fragment contradicts what stands there before it.
    """
    merged: Json = yaml.safe_load(base)
    for path, fragment in fragments:
        merged = _merged(path, (), merged, fragment)
    return f"{HEADER}\n{yaml.safe_dump(merged, default_flow_style=False, sort_keys=False, allow_unicode=True)}"


def _check_key(path: Path, key: str, value: Json) -> None:
    types = TYPES.get(key)
    if types is None:
        close = difflib.get_close_matches(key, TYPES, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        raise ConfigError(
            f"{place_of(path, (key,))}: no key of cloud-config", remedy=f"{meant}docs.cloud-init.io has all"
        )
    if not isinstance(value, types):
        raise ConfigError(f"{place_of(path, (key,))}: this is {WORDS[types[0]]}", remedy="correct the value")


def _merged(path: Path, keys: tuple[str, ...], before: Json, after: Json) -> Json:
    if isinstance(before, dict) and isinstance(after, Mapping):
        both = {key: _merged(path, (*keys, key), before[key], after[key]) for key in before.keys() & after.keys()}
        return {**before, **after, **both}
    if isinstance(before, list) and isinstance(after, list):
        return [*before, *after]
    if before != after:
        raise ConfigError(
            f"{place_of(path, keys)}: {after!r} contradicts {before!r}, which the template or an earlier fragment says",
            remedy="leave it out, or change the template cloudinit/user-data.yaml.j2",
        )
    return after
