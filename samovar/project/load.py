"""Loads environments: from `envs/<name>/config.yaml` and the kinds of its groups to an `Environment`."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from samovar.core.errors import ConfigError
from samovar.core.yaml_file import load_model
from samovar.project.environment import Environment
from samovar.project.fields import NAME
from samovar.project.group_kind import complete_groups
from samovar.project.project import Project

FILE = "config.yaml"


def environment_names(folder: Path) -> list[str]:
    """Return the name of each folder in `folder` that holds a `config.yaml`."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))


def load_environment(name: str, project: Project) -> Environment:
    """Read and check an environment; ConfigError names file, line and remedy, or the environments that exist."""
    names = environment_names(project.envs)
    path = project.envs / name / FILE
    if name not in names:
        raise ConfigError(
            f"no environment {name}: {path} is not there", remedy=f"environments: {', '.join(names) or 'none'}"
        )
    if not re.match(NAME, name):
        raise ConfigError(
            f"{project.envs / name}: {name} cannot be a name in the cloud",
            remedy="name the folder with up to 31 small letters, digits and hyphens, a letter first",
        )
    complete = partial(complete_groups, path, project.groups)
    return load_model(path, Environment, complete=complete, context={"name": name, "project": project})
