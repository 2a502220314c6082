"""Finds a file by its name: one of the project or, where the project has none of that name, one of the library."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from samovar.core.errors import ConfigError
from samovar.core.yaml_file import load_model

M = TypeVar("M", bound=BaseModel)


def file_names(*folders: Path) -> list[str]:
    """Return the names of the YAML files in the folders, sorted, each once."""
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


def load_named(model: type[M], what: str, name: str, *folders: Path) -> M:
    """Read the file of that name in the first of the folders that has it; the model gets the name as its `name`.

    `what` it is, such as `drill`, stands in errors. Raises ConfigError that names file, line and key, or the names
    that there are.
    """
    path = next((file for folder in folders if (file := folder / f"{name}.yaml").is_file()), None)
    if path is None:
        missing = folders[0] / f"{name}.yaml"
        raise ConfigError(
            f"no {what} {name}: {missing} is not there", remedy=f"{what}s: {', '.join(file_names(*folders))}"
        )
    return load_model(path, model, complete=lambda value: {**value, "name": name} if isinstance(value, dict) else value)
