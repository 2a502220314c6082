"""A fault that a model finds among its keys: it says at which of them it stands, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MISFIT = "misfit"


def misfit(problem: str, *path: int | str, remedy: str = "") -> PydanticCustomError:
    """Return the error for a validator of a model to raise; `path` leads from the model to the key at fault."""
    return PydanticCustomError(MISFIT, "{problem}", {"problem": problem, "path": path, "remedy": remedy})


def location_of(fault: ErrorDetails) -> tuple[int | str, ...]:
    """Return the path from the whole to the key at fault."""
    return (*fault["loc"], *fault["ctx"]["path"]) if fault["type"] == MISFIT else fault["loc"]


def remedy_of(fault: ErrorDetails) -> str:
    """Return what to do, where the fault says so."""
    return str(fault["ctx"]["remedy"]) if fault["type"] == MISFIT else ""
