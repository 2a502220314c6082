"""Passwords as Lockbox generates them: at least one character of each class that is asked for."""

from __future__ import annotations

import secrets
import string
from random import SystemRandom

from google.protobuf.wrappers_pb2 import BoolValue
from yandex.cloud.lockbox.v1.secret_pb2 import PasswordPayloadSpecification

from samovar.localcloud.api.errors import invalid

DEFAULT_LENGTH = 36


def generate(specification: PasswordPayloadSpecification) -> str:
    """Returns a new password. Raises Refused where the specification cannot be met."""
    classes = _classes(specification)
    length = specification.length or DEFAULT_LENGTH
    if not classes or length < len(classes):
        raise invalid(f"a password of {length} characters cannot hold {len(classes)} classes of them", "length")
    chosen = [secrets.choice(each) for each in classes]
    chosen += [secrets.choice("".join(classes)) for _ in range(length - len(chosen))]
    SystemRandom().shuffle(chosen)
    return "".join(chosen)


def _classes(specification: PasswordPayloadSpecification) -> list[str]:
    """Returns the classes of characters: each that the specification does not exclude."""
    asked = (
        ("include_uppercase", string.ascii_uppercase),
        ("include_lowercase", string.ascii_lowercase),
        ("include_digits", string.digits),
        ("include_punctuation", _punctuation(specification)),
    )
    return [characters for field, characters in asked if _is_on(specification, field)]


def _is_on(specification: PasswordPayloadSpecification, field: str) -> bool:
    value: BoolValue = getattr(specification, field)
    return value.value if specification.HasField(field) else True  # type: ignore[arg-type]  # one of its fields


def _punctuation(specification: PasswordPayloadSpecification) -> str:
    included, excluded = specification.included_punctuation, specification.excluded_punctuation
    if included and excluded:
        raise invalid("included_punctuation and excluded_punctuation exclude each other", "included_punctuation")
    if set(included) - set(string.punctuation):
        raise invalid("included_punctuation holds what is no punctuation", "included_punctuation")
    return included or "".join(character for character in string.punctuation if character not in excluded)
