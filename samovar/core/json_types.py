"""The types of values that come out of JSON or YAML, before a model or an `isinstance` has said what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | float | bool | None"
JsonObject: TypeAlias = Mapping[str, Json]


def mapping_of(value: Json) -> JsonObject:
    """Return a value that has to be a mapping. Raises TypeError where it is none."""
    if not isinstance(value, Mapping):
        raise TypeError(f"a mapping is missing: {value!r} stands in its place")
    return value
