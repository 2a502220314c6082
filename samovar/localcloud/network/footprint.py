"""The footprint of a network: what the next daemon has to know of it to find and remove it on the host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from samovar.core.files import write_private

FOOTPRINT = "footprint.json"


@dataclass(frozen=True)
class Footprint:
    """A network's index, and the ports of its machines by machine id.

    It is written before either is created, so that the next daemon finds and removes what a network has on the host.
    """

    index: int
    ports: Mapping[str, str] = field(default_factory=dict)


def read_footprint(folder: Path) -> Footprint | None:
    """Return None for a network that never was on this host, or was removed.

    So it does for a file that was torn by a power cut of the host, which took the network with it.
    """
    try:
        return Footprint(**json.loads((folder / FOOTPRINT).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_footprint(folder: Path, footprint: Footprint) -> None:
    """Replace the footprint in a network's folder, which is made where there is none."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(folder / FOOTPRINT, json.dumps(asdict(footprint)))
