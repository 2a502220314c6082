"""The clouds that an environment can live in."""

from __future__ import annotations

from enum import StrEnum


class CloudKind(StrEnum):
    """The cloud of an environment; only `samovar.cloud` and the command line tell them apart."""

    LOCAL = "local"
    YANDEX = "yandex"
