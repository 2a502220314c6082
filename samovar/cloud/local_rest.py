"""The REST endpoint of the local cloud, for what Yandex Cloud's API does not have: the admin API, and storage."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from samovar.core import http
from samovar.core.errors import CloudError, RequestRefused, command_line

TIMEOUT = 60.0
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class NotThere(CloudError):
    """The local cloud has nothing of that name."""


class Rest:
    """One REST endpoint of the local cloud, `host:port` over TLS."""

    def __init__(self, address: str, *, ca: Path | None, token: str) -> None:
        self.address = address
        self._tls = ssl.create_default_context(cafile=str(ca) if ca else None)
        self._token = token

    def call(self, method: str, path: str, body: BinaryIO | None = None, *, timeout: float = TIMEOUT) -> http.Response:
        """Return the answer. Raises CloudError where there is none, or its status is 500 or above."""
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"https://{self.address}{path}"
        try:
            response = http.request(method, url, timeout=timeout, headers=headers, body=body, tls=self._tls)
        except OSError as error:
            raise self._failed(method, path, str(error)) from error
        if response.status >= http.INTERNAL_SERVER_ERROR:
            raise self._failed(method, path, f"{response.status}: {response.text[:500].strip()}")
        return response

    def json(self, method: str, path: str, *, timeout: float = TIMEOUT) -> Any:  # noqa: ANN401 - its caller says what it is
        """Return the JSON of the answer. Raises NotThere for 404, CloudError for any other status but 2xx."""
        response = self.call(method, path, timeout=timeout)
        if not response.ok:
            error = NotThere if response.status == http.NOT_FOUND else CloudError
            raise self._failed(method, path, f"{response.status}: {response.text[:500]}", error)
        return json.loads(response.body or b"{}")

    def lines(self, path: str, *, timeout: float | None, headers: Mapping[str, str] = NO_HEADERS) -> Iterator[str]:
        """Yield the lines of an answer as they come.

        Raises CloudError where there is none, or it breaks off, and RequestRefused where it calls the path wrong.
        """
        url, all_headers = f"https://{self.address}{path}", {**headers, "Authorization": f"Bearer {self._token}"}
        try:
            yield from http.lines(url, timeout=timeout, headers=all_headers, tls=self._tls)
        except http.BadStatus as error:
            if error.status in (http.BAD_REQUEST, http.UNPROCESSABLE):
                raise RequestRefused(error.text) from error
            raise self._failed("GET", path, str(error)) from error
        except OSError as error:
            raise self._failed("GET", path, str(error)) from error

    def _failed(self, method: str, path: str, reason: str, error: type[CloudError] = CloudError) -> CloudError:
        remedy = f"see `{command_line('cloud status')}` and the daemon's log"
        return error(f"{method} https://{self.address}{path}: {reason}", remedy=remedy)
