"""The client of the metadata service, in Google's form: what this machine is, and a token of its service account."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from .errors import Away
from .http_get import Answer, ask

BASE = "http://169.254.169.254"
INSTANCE = "/computeMetadata/v1/instance/"
TIMEOUT = 2.0
"""Seconds for a connection and an answer."""
MARGIN = 60.0
"""Seconds before its end from which a token is not used any more."""


@dataclass(frozen=True)
class Token:
    """An IAM token of the machine's service account; good until `until`, in seconds of the monotonic clock."""

    text: str = field(repr=False)
    until: float

    def good(self) -> bool:
        return time.monotonic() < self.until


class Metadata:
    """Asks the service at `base`."""

    def __init__(self, base: str = BASE) -> None:
        self._address = urlsplit(base).netloc
        self._name = f"the metadata service at {self._address}"

    def instance(self) -> Mapping[str, Any]:
        """The whole of `instance/`. Raises Away."""
        answer = self._get("?recursive=true&alt=json")
        document = answer.document()
        if document is None:
            raise Away(f"{self._name}: {answer.excuse()}")
        return document

    def token(self) -> Token:
        """Raises Away, also where the machine has no service account: it may be given one while it runs."""
        answer = self._get("service-accounts/default/token")
        document = answer.document() or {}
        if "access_token" not in document:
            raise Away(f"a token of this machine's service account: {self._name}: {answer.excuse()}")
        seconds = float(document.get("expires_in", 0))
        return Token(str(document["access_token"]), time.monotonic() + seconds - min(MARGIN, seconds / 2))

    def _get(self, path: str) -> Answer:
        connection = HTTPConnection(self._address, timeout=TIMEOUT)
        return ask(connection, INSTANCE + path, {"Metadata-Flavor": "Google"}, self._name)
