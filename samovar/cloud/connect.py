"""Connects to the local cloud or to Yandex Cloud: the one module that knows both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from samovar.cloud.connection import Access
from samovar.cloud.credentials import Place, find_access, places
from samovar.cloud.local_daemon import find, find_or_start
from samovar.core.cloud_kind import CloudKind
from samovar.core.errors import HostError, command_line

if TYPE_CHECKING:
    from samovar.cloud.session import Session


def connect(cloud: str, home: Path, token: str = "") -> Session:
    """Return a session with the cloud that an environment names: the local one of `home`, or Yandex's.

    `token` goes before all other credentials for Yandex Cloud.
    """
    from samovar.cloud.session import Session  # noqa: PLC0415 - the SDK takes 0.3 s to load

    return Session(find_or_start(home).access if cloud == CloudKind.LOCAL else _yandex_access(token))


def connect_running(cloud: str, home: Path, token: str = "") -> Session:
    """Return a session as `connect` does, but start no local cloud: one that does not run is a HostError."""
    if cloud == CloudKind.LOCAL and find(home) is None:
        raise HostError(f"no local cloud runs in {home}", remedy=command_line("cloud up"))
    return connect(cloud, home, token)


def credential_places(token: str) -> tuple[Place, ...]:
    """Return each place of credentials for Yandex Cloud in the order of the search, with what is there."""
    return places(_variables(token), home=Path.home())


def _yandex_access(token: str) -> Access:
    """Return the access to Yandex Cloud that this user's variables and files give."""
    return find_access(_variables(token), home=Path.home())


def _variables(token: str) -> dict[str, str]:
    return {**os.environ, **({"YC_TOKEN": token} if token else {})}
