from __future__ import annotations

from samovar.agent.clients import Secret
from samovar.agent.report import redact

SECRETS: dict[str, Secret] = {
    "phrase": "correct horse",
    "certificate": {"cert": "-----BEGIN-----\nQUJD\n", "key": "\n  c2VjcmV0\n"},
    "pin": "12",
}


def test_redact_removes_each_line_of_a_secret() -> None:
    text = "line 3: phrase=correct horse; key c2VjcmV0 of QUJD"
    assert redact(text, SECRETS) == "line 3: phrase=***; key *** of ***"


def test_redact_leaves_short_texts() -> None:
    assert redact("port 12", SECRETS) == "port 12"


def test_redact_removes_the_longer_secret_first() -> None:
    assert redact("secret-and-more", {"a": "secret", "b": "secret-and-more"}) == "***"
