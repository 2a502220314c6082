"""Where things lie: the checkout, and this user's folders for what can be made again and for what must be kept."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def cache_dir() -> Path:
    """What can be made again at any time: baked trees and images, package files."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "samovar"


def default_home() -> Path:
    """The home folder of the local cloud that a person uses; tests make others beside it."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "samovar" / "cloud"
