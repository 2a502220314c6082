"""The client of the metadata service, in Google's form: one question, and waiting until its answer changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

from .errors import Away

BASE = "http://169.254.169.254"
TIMEOUT = 2.0
"""Seconds for a connection and an answer, besides those that the service was told to wait."""


@dataclass(frozen=True)
class Instance:
    """The whole of `instance/`, and the ETag by which to wait for the next one."""

    etag: str
    document: Mapping[str, Any]


class Metadata:
    """Asks the service at `base`."""

    def __init__(self, base: str = BASE) -> None:
        self._address = urlsplit(base).netloc

    def instance(self, *, unlike: str | None = None, wait: int = 0) -> Instance:
        """The answer now, or as soon as its ETag is not `unlike`, at latest after `wait` seconds. Raises Away."""
        query = {"recursive": "true", "alt": "json"}
        if unlike:
            query |= {"wait_for_change": "true", "last_etag": unlike, "timeout_sec": str(wait)}
        return self._get(f"/computeMetadata/v1/instance/?{urlencode(query)}", TIMEOUT + wait)

    def _get(self, path: str, timeout: float) -> Instance:
        connection = HTTPConnection(self._address, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Metadata-Flavor": "Google"})
            response = connection.getresponse()
            body = response.read()
        except (OSError, HTTPException) as error:
            raise Away(f"the metadata service at {self._address}: {str(error) or type(error).__name__}") from error
        finally:
            connection.close()
        return _read(response.status, response.headers.get("ETag", ""), body, self._address)


def _read(status: int, etag: str, body: bytes, address: str) -> Instance:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if status != 200 or not isinstance(document, dict):  # noqa: PLR2004 - HTTP's own number
        text = body.decode(errors="replace").strip()[:200]
        raise Away(f"the metadata service at {address}: it answers {status} {text}")
    return Instance(etag, document)
