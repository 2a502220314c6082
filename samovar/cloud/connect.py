"""The one place that knows that there are two clouds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from samovar.cloud.connection import Access
from samovar.cloud.credentials import find_access
from samovar.cloud.local_daemon import find, find_or_start
from samovar.core.errors import HostError
from samovar.core.program import command_line

if TYPE_CHECKING:
    from samovar.cloud.session import Session

LOCAL = "local"


def connect(cloud: str, home: Path, token: str = "") -> Session:
    """A session with the cloud that an environment names: the local one of `home`, or Yandex's.

    `token` is who we are at Yandex Cloud, before all else that says so.
    """
    from samovar.cloud.session import Session  # noqa: PLC0415 - the SDK takes 0.3 s to load

    return Session(find_or_start(home).access if cloud == LOCAL else yandex_access(token))


def connect_running(cloud: str, home: Path, token: str = "") -> Session:
    """The same, but a local cloud that does not run is an error: for those who look and change nothing."""
    if cloud == LOCAL and find(home) is None:
        raise HostError(f"no local cloud runs in {home}", remedy=command_line("cloud up"))
    return connect(cloud, home, token)


def yandex_access(token: str = "") -> Access:
    """The way into Yandex Cloud, as this user's variables and files say."""
    return find_access({**os.environ, **({"YC_TOKEN": token} if token else {})}, home=Path.home())
