"""The secrets of an environment: the kinds that are made for it, and those that exist already."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from samovar.project.fields import CloudId, Strict


class SecretKind(StrEnum):
    """The kind of a secret.

    A password is made up by Lockbox, a certificate with its key signs itself, and the operator provides any other one.
    """

    PASSWORD = "password"  # noqa: S105 - a kind, not a password  # pragma: allowlist secret
    CERTIFICATE = "certificate"
    PROVIDED = "provided"


class ExistingSecret(Strict):
    """A secret that exists already, whoever made it."""

    id: CloudId = Field(description="its id in Lockbox")


def _form_of_secret(value: object) -> str:
    return "existing" if isinstance(value, Mapping | ExistingSecret) else "kind"


AnySecret = Annotated[
    Annotated[SecretKind, Tag("kind")] | Annotated[ExistingSecret, Tag("existing")], Discriminator(_form_of_secret)
]
