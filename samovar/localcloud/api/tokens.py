"""IAM tokens of the form `t1.<claims>.<signature>`: signed, so that they outlive the daemon and need no table.

An operator's token is made once a home; a service account's comes from its key (a JWT, PS256) or from the metadata
service. Clients take a token with this prefix and exactly two dots as it is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NotRequired, TypedDict

from samovar.core.errors import HostError
from samovar.core.files import write_private
from samovar.localcloud import clock

LIFETIME = 12 * 3600
SECRET_BYTES = 32
OPERATOR = "operator"
OPERATOR_LIFETIME = 10 * 365 * 86400
REMEMBERED = 128
"""Tokens whose claims are remembered: one call asks for them several times, and the next one comes with the same."""


@dataclass(frozen=True)
class Token:
    """A token and the moment (seconds since the epoch) at which it expires."""

    text: str
    expires_at: int


class _Claims(TypedDict):
    sub: str
    exp: int
    key: NotRequired[str]


class Tokens:
    """Issues and checks tokens with a secret of the cloud's own."""

    def __init__(self, secret_file: Path) -> None:
        if not secret_file.exists():
            write_private(secret_file, secrets.token_bytes(SECRET_BYTES))
        self._secret = secret_file.read_bytes()
        if len(self._secret) < SECRET_BYTES:
            raise HostError(
                f"{secret_file} holds {len(self._secret)} bytes, not {SECRET_BYTES}: anybody could sign tokens with it",
                remedy="put it back from a backup; or delete it: the tokens that it signed are refused then, and "
                "clients have to fetch new ones",
            )
        self._signed = lru_cache(REMEMBERED)(self._verify)

    @property
    def oauth(self) -> str:
        """The operator's OAuth token: it is good for nothing but to be exchanged for an IAM token."""
        return f"y0_{self._sign('oauth')}"

    def issue(self, subject: str, lifetime: int = LIFETIME, *, key: str = "") -> Token:
        """Return a new token; `key` is the id of the key that it was got by, with which it ends."""
        expires_at = int(clock.now()) + lifetime
        claims = _encode(json.dumps({"sub": subject, "exp": expires_at, "key": key}).encode())
        return Token(f"t1.{claims}.{self._sign(claims)}", expires_at)

    def subject(self, text: str) -> str | None:
        """Return who the bearer is, or None where the token is not ours, was changed, or has expired."""
        claims = self._claims(text)
        return str(claims["sub"]) if claims else None

    def key(self, text: str) -> str:
        """Return the id of the key that a token was got by; empty where it was got in another way, or is not valid."""
        claims = self._claims(text)
        return str(claims.get("key", "")) if claims else ""

    def _claims(self, text: str) -> _Claims | None:
        claims = self._signed(text)
        return claims if claims and claims["exp"] > clock.now() else None

    def _verify(self, text: str) -> _Claims | None:
        """Return the claims of a token, expired or not, or None where it is not ours or was changed."""
        prefix, _, rest = text.partition(".")
        claims, _, signature = rest.partition(".")
        try:
            if prefix != "t1" or not hmac.compare_digest(self._sign(claims).encode(), signature.encode()):
                return None
            decoded: _Claims = json.loads(_decode(claims))
        except (binascii.Error, ValueError):
            return None
        return decoded

    def _sign(self, claims: str) -> str:
        return _encode(hmac.digest(self._secret, claims.encode(), hashlib.sha256))


def bearer(authorization: str) -> str:
    """Return the token of an Authorization header; empty where it has none."""
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
