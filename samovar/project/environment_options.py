"""The parts of an environment beside its groups: network, secrets, servers outside, operators, images and bakes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Discriminator, Field, Tag, model_validator

from samovar.core.validation import FieldError
from samovar.project.fields import (
    Addresses,
    CloudId,
    Family,
    Host,
    Name,
    OutsidePort,
    PrivateNetwork,
    PublicKey,
    Strict,
)


class ExternalServer(Strict):
    """A server outside of the environment: a managed database, an API of somebody else's."""

    host: Host = Field(description="its name or its IPv4 address")
    port: OutsidePort = Field(description="the port that it listens at")


class Operator(Strict):
    """The people who may log in to machines."""

    ssh_keys: tuple[PublicKey, ...] = Field(min_length=1, description="public keys, as in `authorized_keys`")
    bastion: Name | None = Field(
        default=None,
        description="the group through whose machines the way leads; without it the first with public addresses",
    )


class BakeOptions(Strict):
    """The options of a bake on machines of the cloud."""

    ssh_from: Addresses | None = Field(
        default=None,
        description="the addresses from which Packer may reach the machines that it bakes on: 198.51.100.7/32",
    )
    family: Family | None = Field(
        default=None,
        description="the family of public images that a root image starts from, such as `debian-13`; without it the "
        "one that Yandex Cloud has for the image's `suite`",
    )


class ImageOptions(Strict):
    """The images of an environment."""

    folder_id: CloudId = Field(
        description="the id of the folder in which images are published and looked up, for several environments to "
        "share; the account of the group service gets the role `compute.images.user` there"
    )


class Network(Strict):
    """The network of an environment: made for it from `cidr`, or the existing one of `id`."""

    id: CloudId | None = Field(
        default=None,
        description="a network that exists already: it is used, and never changed or deleted. With `cidr` the "
        "environment makes its own subnets there, else `subnets` names those to use",
    )
    cidr: PrivateNetwork | None = Field(
        default=None,
        description="a range of /16 to /24 in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16; each zone gets a part. "
        "Environments may have the same one: each has a network of its own, unless `id` names one for both",
    )

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if not self.id and not self.cidr:
            problem = "a network has a cidr, or the id of one that exists already"
            raise FieldError(problem, remedy="write network: {cidr: 10.30.0.0/16}, or network: {id: ID}")
        return self


def check_subnets(subnets: Mapping[str, str], network: Network, zones: tuple[str, ...]) -> None:
    """Raise FieldError unless a network that exists has one existing subnet a zone, or a range for new ones."""
    missing, unknown = sorted({*zones} - subnets.keys()), sorted(subnets.keys() - {*zones})
    if not subnets and (network.cidr or not network.id):
        return
    if not network.id:
        raise FieldError("existing subnets are those of an existing network", remedy="write network: {id: ID}")
    if network.cidr:
        raise FieldError("the range of network.cidr is for new subnets", remedy="leave out subnets, or network.cidr")
    if missing:
        remedy = "name one a zone, or write network.cidr for new ones"
        raise FieldError(f"{', '.join(missing)} has no subnet", remedy=remedy)
    if unknown:
        raise FieldError(f"{', '.join(unknown)} is not in zones", remedy="add it to zones, or remove it")


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
