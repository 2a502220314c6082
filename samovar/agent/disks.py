"""The data disks that a machine mounts: each has a file of variables, with which a unit of systemd mounts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .role import InvalidConfig, Value, mapping_of, reserved

FOLDER = "/run/samovar/disks"
WHERE = "samovar-settings: disks"
VARIABLES = {"mount": "MOUNT", "filesystem": "FILESYSTEM", "options": "OPTIONS", "owner": "OWNER"}
"""The variables of the unit, by the names that the metadata have for them."""


@dataclass(frozen=True)
class Disk:
    """A data disk by the name by which the machine finds it, and how it is mounted."""

    name: str
    variables: Mapping[str, str]

    @property
    def unit(self) -> str:
        return f"samovar-disk@{self.name}.service"

    @property
    def variables_file(self) -> str:
        return f"{FOLDER}/{self.name}"

    @property
    def problem_file(self) -> str:
        """The file in which the unit says why it failed."""
        return f"{FOLDER}/{self.name}.problem"


def read_disks(text: str) -> tuple[Disk, ...]:
    """Return the disks that samovar-settings state, those first in whose folders others lie. Raises InvalidConfig."""
    disks = [_disk(name, value) for name, value in reserved(text, "disks").items()]
    return tuple(sorted(disks, key=lambda disk: disk.variables["MOUNT"]))


def _disk(name: str, value: Value) -> Disk:
    fields = mapping_of(value)
    texts = {VARIABLES[key]: text for key, text in fields.items() if key in VARIABLES and isinstance(text, str)}
    if len(texts) != len(fields) or not {"MOUNT", "FILESYSTEM", "OPTIONS"} <= texts.keys():
        raise InvalidConfig(f"{WHERE}: {name}: {value!r} must be texts: mount, filesystem, options, and maybe owner")
    return Disk(name, {"OWNER": "", **texts})
