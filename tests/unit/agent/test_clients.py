from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from samovar.agent import clients
from samovar.agent.clients import Answer, Api, Lockbox, Token, Unavailable, read_api
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


def test_a_secret_without_entries_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match=r"^secret phrase \(e6q1\) from Lockbox at payload.*: it has no entries"):
        answered(monkeypatch)
