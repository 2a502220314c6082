"""What a network may have on the host, written down before it is made: the next daemon finds and removes it by that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from samovar.core.files import write_private

FILE = "footprint.json"


@dataclass(frozen=True)
class Footprint:
    """A network's index, and the ports of its machines by machine id."""

    index: int
    ports: Mapping[str, str] = field(default_factory=dict)


def read(folder: Path) -> Footprint | None:
    """None for a network that never was on this host, or was removed.

    So is one whose file was torn by a power cut of the host, which took the network with it.
    """
    try:
        return Footprint(**json.loads((folder / FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write(folder: Path, footprint: Footprint) -> None:
    """Written whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(folder / FILE, json.dumps(asdict(footprint)))
