"""A fault that a model finds among its keys: it says at which of them it stands, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Misfit(ValueError):
    """The keys of a model do not fit together; `path` leads from the model to the key at fault."""

    def __init__(self, problem: str, *path: int | str, remedy: str = "") -> None:
        super().__init__(problem)
        self.path = path
        self.remedy = remedy


def misfit_of(fault: ErrorDetails) -> Misfit | None:
    """Return what a model raised, where it was that."""
    error = fault.get("ctx", {}).get("error")
    return error if isinstance(error, Misfit) else None
