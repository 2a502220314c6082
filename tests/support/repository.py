"""A project of a test's own: what its images build on is the library's base, so they are baked in seconds."""

from __future__ import annotations

from pathlib import Path


def empty_project(root: Path) -> Path:
    """Make a project without images at `root`, and return it."""
    (root / "images").mkdir(parents=True)
    (root / "samovar.yaml").touch()
    return root
