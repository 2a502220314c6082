"""The clients of what a machine asks: the metadata service (in Google's form), Lockbox over REST, and DNS.

They need nothing but the standard library. GET /lockbox/v1/secrets/{id}/payload:
yandex.cloud/docs/lockbox/api-ref/Payload/get.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from .role import InvalidConfig, Value, mapping_of, read_mapping

METADATA = "http://169.254.169.254"
INSTANCE = "/computeMetadata/v1/instance/"
METADATA_TIMEOUT = 2.0
"""Seconds for a connection and an answer."""
TOKEN_MARGIN = 60.0
"""Seconds before its expiry from which a token is not used any more."""
LOCKBOX_TIMEOUT = 5.0
LOCKBOX_ROLE = "lockbox.payloadViewer"
OK, UNAUTHENTICATED, DENIED = 200, 401, 403
HEADER_TEXT = re.compile(r"[!-~]+")
"""What a token may consist of. An error about another one in a header would quote it."""
MAX_ERROR_LENGTH = 200
NO_SUCH_NAME = (socket.EAI_NONAME, socket.EAI_NODATA)

Lookup = Callable[[str], str | None]
Secret = str | Mapping[str, str]
"""The text of a secret's one entry, or of each entry by its key."""


class Unavailable(Exception):
    """A server does not answer yet: ask again."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. Its body may be a secret, so it is never shown."""

    status: int
    body: bytes = field(repr=False)

    def document(self) -> Mapping[str, Value] | None:
        """Return the JSON object of an answer with 200, None for any other answer."""
        try:
            document = json.loads(self.body) if self.status == OK else None
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None

    def error_text(self) -> str:
        """Return in one line why the answer is of no use. The body of an answer with 200 is not shown."""
        if self.status == OK:
            return "it answers 200 and not what was asked for"
        text = " ".join(self.body.decode(errors="replace").split())[:MAX_ERROR_LENGTH]
        return f"it answers {self.status} {text}".rstrip()


def http_get(connection: HTTPConnection, path: str, headers: Mapping[str, str], server: str) -> Answer:
    """GET `path` and close the connection. Raises Unavailable, which names `server`, if there is no answer."""
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, HTTPException) as error:
        raise Unavailable(f"{server}: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()


@dataclass(frozen=True)
class Token:
    """An IAM token of the machine's service account, valid until `expires` (seconds of the monotonic clock)."""

    text: str = field(repr=False)
    expires: float

    def is_valid(self) -> bool:
        return time.monotonic() < self.expires


class Metadata:
    """A client of the metadata service at `base`."""

    def __init__(self, base: str = METADATA) -> None:
        self._address = urlsplit(base).netloc
        self._name = f"the metadata service at {self._address}"

    def instance(self) -> Mapping[str, Value]:
        """Return all of `instance/`. Raises Unavailable."""
        answer = self._get("?recursive=true&alt=json")
        document = answer.document()
        if document is None:
            raise Unavailable(f"{self._name}: {answer.error_text()}")
        return document

    def token(self) -> Token:
        """Return a new token. Raises Unavailable, also without a service account: the machine may still get one."""
        answer = self._get("service-accounts/default/token")
        document = answer.document() or {}
        text, seconds = document.get("access_token"), document.get("expires_in")
        if not (isinstance(text, str) and HEADER_TEXT.fullmatch(text) and isinstance(seconds, int | float)):
            raise Unavailable(f"a token of this machine's service account: {self._name}: {answer.error_text()}")
        return Token(text, time.monotonic() + seconds - min(TOKEN_MARGIN, seconds / 2))

    def _get(self, path: str) -> Answer:
        connection = HTTPConnection(self._address, timeout=METADATA_TIMEOUT)
        return http_get(connection, INSTANCE + path, {"Metadata-Flavor": "Google"}, self._name)


@dataclass(frozen=True)
class Api:
    """The address of Lockbox. Without `ca` the system's certificate authorities are trusted."""

    endpoint: str = "https://payload.lockbox.api.cloud.yandex.net"
    ca: str | None = None


def read_api(text: str) -> Api:
    """Read the metadata key `samovar-api`; if it is empty, Yandex Cloud's own address. Raises InvalidConfig."""
    document = read_mapping(text, "samovar-api")
    if not document:
        return Api()
    endpoint, ca = document.get("endpoint"), document.get("ca")
    if not isinstance(endpoint, str) or not endpoint.startswith("https://"):
        raise InvalidConfig(f"samovar-api: endpoint: {endpoint!r} is no https:// address")
    return Api(endpoint.rstrip("/"), str(ca) if ca else None)


class Lockbox:
    """A client of Lockbox that keeps its token while that is valid. It never reports what a secret holds."""

    def __init__(self, api: Api, issue: Callable[[], Token]) -> None:
        self._base = urlsplit(api.endpoint)
        self._tls = _context(api.ca)
        self._issue = issue
        self._token: Token | None = None
        self.versions: dict[str, str] = {}
        """The versions that were read last, by the names of secrets."""

    def secret(self, name: str, secret_id: str) -> Secret:
        """Return the payload of the current version. Raises Unavailable; if a role is missing, the message names it."""
        if self._token is None or not self._token.is_valid():
            self._token = self._issue()
        server = f"secret {name} ({secret_id}) from Lockbox at {self._base.netloc}"
        connection = HTTPSConnection(self._base.netloc, timeout=LOCKBOX_TIMEOUT, context=self._tls)
        path = f"{self._base.path}/lockbox/v1/secrets/{secret_id}/payload"
        answer = http_get(connection, path, {"Authorization": f"Bearer {self._token.text}"}, server)
        if answer.status == UNAUTHENTICATED:
            self._token = None
        document = answer.document()
        if document is None:
            raise Unavailable(f"{server}: {_denied_or_error(answer)}")
        self.versions[name] = str(document.get("versionId", ""))
        return _payload(document.get("entries"), server)


def _context(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidConfig(f"samovar-api: ca: no certificate in PEM: {error}") from error


def _denied_or_error(answer: Answer) -> str:
    if answer.status == DENIED:
        return f"this machine's service account lacks the role {LOCKBOX_ROLE} on it ({answer.error_text()})"
    return answer.error_text()


def _payload(entries: Value, server: str) -> Secret:
    each = map(mapping_of, entries if isinstance(entries, list) else [])
    try:
        texts = {str(entry.get("key")): _text(entry) for entry in each}
    except ValueError:
        raise Unavailable(f"{server}: an entry is not in base64") from None
    if not texts:
        raise Unavailable(f"{server}: it has no entries")
    return next(iter(texts.values())) if len(texts) == 1 else texts


def _text(entry: Mapping[str, Value]) -> str:
    """Return the text of an entry. Bytes that are no UTF-8 reach files unchanged."""
    if "binaryValue" in entry:
        return b64decode(str(entry["binaryValue"])).decode(errors="surrogateescape")
    return str(entry.get("textValue", ""))


def lookup(fqdn: str) -> str | None:
    """Return the first IPv4 address of a name, None if there is none. Raises Unavailable if no name server answers."""
    try:
        addresses = socket.getaddrinfo(f"{fqdn}.", None, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in NO_SUCH_NAME:
            return None
        raise Unavailable(f"the name server: {fqdn}: {error.strerror}") from error
    return min(str(address[0]) for *_, address in addresses)
