"""The checkout that the tests are of and the project in it, and empty projects of a test's own."""

from __future__ import annotations

from pathlib import Path

from samovar.project.environment import Environment, load_environment
from samovar.project.project import Project

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / "envs"
PROJECT = Project(ROOT, ENVIRONMENTS)


def project_in(folder: Path) -> Project:
    """Return the project in `folder`, of which nothing has to be there."""
    return Project(folder, folder / "envs")


def environment(name: str, envs: Path = ENVIRONMENTS) -> Environment:
    """Load an environment of the folder `envs`, with the images and kinds of group of the checkout."""
    return load_environment(name, Project(ROOT, envs))


def empty_project(root: Path) -> Path:
    """Make a project without images at `root`, and return it."""
    (root / "images").mkdir(parents=True)
    (root / "samovar.yaml").touch()
    return root
