"""Ids in the API's form: three characters of their kind and seventeen characters of 0-9a-v."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789abcdefghijklmnopqrstuv"
LENGTH = 17


def new_id(prefix: str) -> str:
    """Returns a new id with the prefix that the real API gives to its kind."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
