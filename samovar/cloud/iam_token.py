"""Gets an IAM token for whatever the credentials are, and a new one before it expires.

The SDK would get one every 20 seconds, sign a key's JWT each time, and name the wrong audience where the endpoint has a
port; it reports a broken key as a cloud that does not answer.
"""

from __future__ import annotations

import json
import re
import threading
import time

import grpc
import jwt
from yandex.cloud.iam.v1.iam_token_service_pb2 import CreateIamTokenRequest
from yandex.cloud.iam.v1.iam_token_service_pb2_grpc import IamTokenServiceStub

from samovar.cloud.connection import Access, read
from samovar.cloud.credentials import machine_token
from samovar.cloud.errors import call_failed
from samovar.core.errors import ConfigError

IAM_TOKEN = re.compile(r"t1\.[^.]+\.[^.]+")
AUDIENCE = "https://iam.api.cloud.yandex.net/iam/v1/tokens"
"""The audience of a key's JWT, wherever the endpoint is, as in the documentation and Yandex's own clients in Go."""
JWT_LIFETIME = 3600
MARGIN = 300.0
"""Seconds before its end at which a token is got anew."""
TIMEOUT = 20.0
KEY_REMEDY = "make a new one: yc iam key create --service-account-name NAME --output FILE"


class Identity:
    """Provides a token that is valid for some minutes at least. Safe to use from several threads."""

    def __init__(self, access: Access, iam: str) -> None:
        """Take the address of the IAM service as `iam`, `host:port`."""
        self._access = access
        self._iam = iam
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def get_token(self, *, lasting: float = MARGIN) -> str:
        """Return a token that is valid for so many seconds, or as new as it can be. The SDK calls it by this name.

        Raises CloudError and ConfigError, which name the credentials.
        """
        with self._lock:
            if time.time() >= self._until - lasting:
                self._token, self._until = self._fresh()
            return self._token

    @property
    def account(self) -> str:
        """The service account whose key we have; "" where the credentials do not name one."""
        access = self._access
        if access.token or access.metadata:
            return ""
        return _key_of(access)["service_account_id"]

    def _fresh(self) -> tuple[str, float]:
        access = self._access
        if access.metadata:
            token, lifetime = machine_token(access.metadata)
            return token, time.time() + lifetime
        if IAM_TOKEN.fullmatch(access.token):
            return access.token, float("inf")
        if access.token:
            return self._exchange(CreateIamTokenRequest(yandex_passport_oauth_token=access.token))
        return self._exchange(CreateIamTokenRequest(jwt=_signed(access)))

    def _exchange(self, request: CreateIamTokenRequest) -> tuple[str, float]:
        trust = grpc.ssl_channel_credentials(root_certificates=self._access.roots)
        with grpc.secure_channel(self._iam, trust) as channel:
            try:
                answer = IamTokenServiceStub(channel).Create(request, timeout=TIMEOUT)
            except grpc.RpcError as error:
                where = self._access.source or "the credentials"
                raise call_failed(f"{where}: IamTokenService.Create", error) from error
        return answer.iam_token, answer.expires_at.seconds


def _signed(access: Access) -> str:
    """Return the JWT that proves that we have a service account's key."""
    key = _key_of(access)
    now = int(time.time())
    claims = {"iss": key["service_account_id"], "aud": AUDIENCE, "iat": now, "exp": now + JWT_LIFETIME}
    try:
        return jwt.encode(claims, key["private_key"], algorithm="PS256", headers={"kid": key["id"]})
    except (ValueError, TypeError, jwt.InvalidKeyError) as error:
        raise _broken(_name(access), "its private_key is no key in PEM") from error


def _key_of(access: Access) -> dict[str, str]:
    return _key(read(access.key_file) if access.key_file else access.key.encode(), _name(access))


def _name(access: Access) -> str:
    return str(access.key_file or access.source)


def _key(text: bytes, name: str) -> dict[str, str]:
    try:
        key = json.loads(text)
        return {part: str(key[part]) for part in ("id", "service_account_id", "private_key")}
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(name, str(error)) from error


def _broken(name: str, reason: str) -> ConfigError:
    return ConfigError(f"{name}: not a service account's key: {reason}", remedy=KEY_REMEDY)
