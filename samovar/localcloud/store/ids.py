"""Ids in the API's form: three characters of their kind and seventeen characters of 0-9a-v."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789abcdefghijklmnopqrstuv"
LENGTH = 17


def new_id(prefix: str) -> str:
    """Return a new id with the prefix that the real API gives to its kind."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def derived_id(prefix: str, digest: bytes) -> str:
    """Return the id that follows from a digest of LENGTH bytes or more: the same each time."""
    return prefix + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:LENGTH])
