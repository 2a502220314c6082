from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from samovar.agent import lockbox
from samovar.agent.errors import Away, Wrong
from samovar.agent.http_get import Answer
from samovar.agent.lockbox import Api, Lockbox, read_api
from samovar.agent.metadata import Token


def test_without_a_word_it_is_yandexs_own() -> None:
    assert read_api("") == Api("https://payload.lockbox.api.cloud.yandex.net", None)


def test_a_cloud_of_another_kind_says_where_it_answers_and_whom_to_trust() -> None:
    assert read_api("endpoint: https://api.internal:443/\nca: |\n  PEM\n") == Api("https://api.internal:443", "PEM\n")


@pytest.mark.parametrize("text", ["ca: PEM", "endpoint: http://api.internal", "endpoint: 3"])
def test_an_address_that_is_not_safe_is_refused(text: str) -> None:
    with pytest.raises(Wrong, match=r"^samovar-api: endpoint: "):
        read_api(text)


def test_an_authority_that_is_none_is_named() -> None:
    with pytest.raises(Wrong, match=r"^samovar-api: ca: "):
        Lockbox(Api("https://a", "PEM"), token)


def token() -> Token:
    return Token("t1.a.b", time.monotonic() + 60)


def answered(monkeypatch: pytest.MonkeyPatch, *entries: dict[str, Any]) -> object:
    document = {"entries": list(entries), "versionId": "e6q2"}
    monkeypatch.setattr(lockbox, "ask", lambda *_: Answer(200, json.dumps(document).encode()))
    return Lockbox(Api(), token).secret("made", "e6q1")


def test_one_entry_is_its_text_and_several_go_by_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = {"key": "a", "textValue": "x"}, {"key": "b", "textValue": "y"}
    assert answered(monkeypatch, one) == "x"
    assert answered(monkeypatch, one, other) == {"a": "x", "b": "y"}


def test_bytes_go_into_a_file_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    value = answered(monkeypatch, {"key": "a", "binaryValue": base64.b64encode(b"\x00\xff").decode()})
    assert isinstance(value, str)
    assert value.encode(errors="surrogateescape") == b"\x00\xff"


def test_a_secret_of_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Away, match=r"^secret made \(e6q1\) from Lockbox at payload.*: it has no entries"):
        answered(monkeypatch)
