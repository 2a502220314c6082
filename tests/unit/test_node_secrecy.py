from __future__ import annotations

from samovar.agent.facts import Secret
from samovar.agent.redact import hide

SECRETS: dict[str, Secret] = {
    "phrase": "correct horse",
    "certificate": {"cert": "-----BEGIN-----\nQUJD\n", "key": "\n  c2VjcmV0\n"},
    "pin": "12",
}


def test_no_line_of_a_secret_is_left() -> None:
    text = "line 3: phrase=correct horse; key c2VjcmV0 of QUJD"
    assert hide(text, SECRETS) == "line 3: phrase=***; key *** of ***"


def test_what_is_too_short_to_be_told_from_chance_stays() -> None:
    assert hide("port 12", SECRETS) == "port 12"


def test_a_secret_within_another_does_not_leave_the_rest() -> None:
    assert hide("secret-and-more", {"a": "secret", "b": "secret-and-more"}) == "***"
