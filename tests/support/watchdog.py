"""Configurations of the watchdog."""

from __future__ import annotations

import json

from samovar.watchdog.config import Config, read_config
from tests.support.roles import rendered


def config(port: int = 8080, **settings: object) -> Config:
    """Return what the watchdog reads on a machine of the application shop, by the defaults of the library."""
    given = json.dumps({"port": port, **settings})
    text = rendered("samovar-app", given)["/etc/application/watchdog.json"]
    return read_config(text, "shop.service", memory=1000)
