"""What secrets hold, from Lockbox over REST with the machine's own token. Nothing of it is ever said.

GET /lockbox/v1/secrets/{id}/payload: yandex.cloud/docs/lockbox/api-ref/Payload/get.
"""

from __future__ import annotations

import ssl
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from .errors import Away, Wrong
from .facts import Secret
from .http_get import Answer, ask
from .metadata import Token
from .role import read_mapping

TIMEOUT = 5.0
UNAUTHENTICATED, DENIED = 401, 403
RIGHT = "lockbox.payloadViewer"


@dataclass(frozen=True)
class Api:
    """Where Lockbox answers; without `ca` the system's own authorities are trusted."""

    endpoint: str = "https://payload.lockbox.api.cloud.yandex.net"
    ca: str | None = None


def read_api(text: str) -> Api:
    """From the metadata key `samovar-api`; nothing in it: Yandex's own. Raises Wrong."""
    document = read_mapping(text, "samovar-api")
    if not document:
        return Api()
    endpoint, ca = document.get("endpoint"), document.get("ca")
    if not isinstance(endpoint, str) or not endpoint.startswith("https://"):
        raise Wrong(f"samovar-api: endpoint: {endpoint!r} is no https:// address")
    return Api(endpoint.rstrip("/"), str(ca) if ca else None)


class Lockbox:
    """A client that keeps its token while it is good."""

    def __init__(self, api: Api, issue: Callable[[], Token]) -> None:
        self._base = urlsplit(api.endpoint)
        self._tls = _context(api.ca)
        self._issue = issue
        self._token: Token | None = None

    def secret(self, name: str, secret_id: str) -> Secret:
        """The payload of the current version. Raises Away, which for a missing right names it."""
        if self._token is None or not self._token.good():
            self._token = self._issue()
        whom = f"secret {name} ({secret_id}) from Lockbox at {self._base.netloc}"
        connection = HTTPSConnection(self._base.netloc, timeout=TIMEOUT, context=self._tls)
        path = f"{self._base.path}/lockbox/v1/secrets/{secret_id}/payload"
        answer = ask(connection, path, {"Authorization": f"Bearer {self._token.text}"}, whom)
        if answer.status == UNAUTHENTICATED:
            self._token = None
        document = answer.document()
        if document is None:
            raise Away(f"{whom}: {_excuse(answer)}")
        return _secret(document.get("entries", []), whom)


def _context(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise Wrong(f"samovar-api: ca: no certificate in PEM: {error}") from error


def _excuse(answer: Answer) -> str:
    if answer.status == DENIED:
        return f"this machine's service account lacks the role {RIGHT} on it ({answer.excuse()})"
    return answer.excuse()


def _secret(entries: list[Mapping[str, Any]], whom: str) -> Secret:
    texts = {str(entry.get("key")): _text(entry) for entry in entries}
    if not texts:
        raise Away(f"{whom}: it has no entries")
    return next(iter(texts.values())) if len(texts) == 1 else texts


def _text(entry: Mapping[str, Any]) -> str:
    """Bytes that are no UTF-8 arrive in files as they are."""
    if "binaryValue" in entry:
        return b64decode(entry["binaryValue"]).decode(errors="surrogateescape")
    return str(entry.get("textValue", ""))
