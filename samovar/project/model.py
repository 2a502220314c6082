"""The base of every model of a file that an operator writes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A model that refuses unknown keys and whose values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
