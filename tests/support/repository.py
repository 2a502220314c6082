"""A repository of images of a test's own: the real base is in it, so whatever lies on that is baked in seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.checkout import ROOT


def with_base(root: Path) -> Path:
    """Made at `root`; its base has the digest of the real one."""
    for folder in ("images/base", "scripts/base", "samovar/agent"):
        shutil.copytree(ROOT / folder, root / folder)
    return root
