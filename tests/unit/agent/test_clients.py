from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from samovar.agent import clients
from samovar.agent.clients import Answer, Api, Lockbox, Metadata, Token, Unavailable, read_api
from samovar.agent.role import InvalidConfig


def test_read_api_defaults_to_yandex_cloud() -> None:
    assert read_api("") == Api("https://payload.lockbox.api.cloud.yandex.net", None)


def test_read_api_reads_endpoint_and_ca() -> None:
    assert read_api("endpoint: https://api.internal:443/\nca: |\n  PEM\n") == Api("https://api.internal:443", "PEM\n")


@pytest.mark.parametrize("text", ["ca: PEM", "endpoint: http://api.internal", "endpoint: 3"])
def test_read_api_rejects_an_endpoint_without_https(text: str) -> None:
    with pytest.raises(InvalidConfig, match=r"^samovar-api: endpoint: "):
        read_api(text)


def test_an_invalid_ca_is_named() -> None:
    with pytest.raises(InvalidConfig, match=r"^samovar-api: ca: "):
        Lockbox(Api("https://a", "PEM"), token)


def token() -> Token:
    return Token("t1.a.b", time.monotonic() + 60)


def answered(monkeypatch: pytest.MonkeyPatch, *entries: dict[str, Any]) -> object:
    document = {"entries": list(entries), "versionId": "e6q2"}
    monkeypatch.setattr(clients, "http_get", lambda *_: Answer(200, json.dumps(document).encode()))
    return Lockbox(Api(), token).secret("phrase", "e6q1")


def test_one_entry_is_its_text_and_several_are_a_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = {"key": "a", "textValue": "x"}, {"key": "b", "textValue": "y"}
    assert answered(monkeypatch, one) == "x"
    assert answered(monkeypatch, one, other) == {"a": "x", "b": "y"}


def test_bytes_reach_a_file_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    value = answered(monkeypatch, {"key": "a", "binaryValue": base64.b64encode(b"\x00\xff").decode()})
    assert isinstance(value, str)
    assert value.encode(errors="surrogateescape") == b"\x00\xff"


def test_an_entry_that_is_no_base64_is_unavailable_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="an entry is not in base64") as error:
        answered(monkeypatch, {"key": "a", "binaryValue": "QQ"})
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"access_token": "t1.secret\nX: y", "expires_in": 100}),
        json.dumps({"access_token": "t1.sécret", "expires_in": 100}),
        json.dumps({"access_token": "t1.secret", "expires_in": "secret"}),
        json.dumps({"access_token": None, "expires_in": 100}),
        '{"a":' * 100_000,
    ],
)
def test_a_token_that_is_none_is_unavailable_and_not_shown(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """An error about it in a header would quote it, on the console and in the journal."""
    monkeypatch.setattr(clients, "http_get", lambda *_: Answer(200, body.encode()))
    with pytest.raises(Unavailable, match=r"it answers 200 and not what was asked for$") as error:
        Metadata("http://metadata").token()
    assert "cret" not in str(error.value)


def test_a_secret_without_entries_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match=r"^secret phrase \(e6q1\) from Lockbox at payload.*: it has no entries"):
        answered(monkeypatch)
