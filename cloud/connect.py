"""The one place that knows that there are two clouds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cloud.access import from_environment
from cloud.daemon import find_or_start

if TYPE_CHECKING:
    from cloud.session import Session

LOCAL = "local"


def connect(cloud: str, home: Path) -> Session:
    """A session with the cloud that an environment names: the local one of `home`, or Yandex's by `YC_*`."""
    from cloud.session import Session  # noqa: PLC0415 - the SDK takes 0.3 s to load

    return Session(find_or_start(home).access if cloud == LOCAL else from_environment(os.environ))
