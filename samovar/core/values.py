"""Values that several layers use: units, bounds, what comes out of JSON or YAML, and the kinds of cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

MIB, GIB = 2**20, 2**30
ANY_IPV4 = "0.0.0.0/0"
"""The range of all IPv4 addresses."""
SSH_PORT = 22
MAX_PORT = 32767
"""The highest port of a balancer, and of its targets (network_load_balancer.proto)."""


class CloudKind(StrEnum):
    """The cloud of an environment; only `samovar.cloud` and the command line tell them apart."""

    LOCAL = "local"
    YANDEX = "yandex"


Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | float | bool | None"
JsonObject: TypeAlias = Mapping[str, Json]


def mapping_of(value: Json) -> JsonObject:
    """Return a value that has to be a mapping. Raises TypeError where it is none."""
    if not isinstance(value, Mapping):
        raise TypeError(f"a mapping is missing: {value!r} stands in its place")
    return value
