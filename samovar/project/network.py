"""The network of an environment: one of its own, or one that exists already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from samovar.project.fields import CloudId, PrivateNetwork, Strict


class Network(Strict):
    """The network of an environment: made for it from `cidr`, or the existing one of `id`."""

    id: CloudId | None = Field(
        default=None,
        description="a network that exists already: it is used, and never changed or deleted. With `cidr` the "
        "environment makes its own subnets there, else `subnets` names those to use",
    )
    cidr: PrivateNetwork | None = Field(
        default=None,
        description="a private range of /16 to /24 that no other environment has; each zone gets a part",
    )

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if not self.id and not self.cidr:
            raise ValueError("a network has a cidr, or the id of one that exists already")
        return self


def check_subnets(subnets: Mapping[str, str], network: Network, zones: tuple[str, ...]) -> None:
    """Raise ValueError unless a network that exists has one existing subnet a zone, or a range for new ones."""
    missing, unknown = sorted({*zones} - subnets.keys()), sorted(subnets.keys() - {*zones})
    if not subnets and (network.cidr or not network.id):
        return
    if not network.id:
        raise ValueError("existing subnets are those of an existing network: write network: {id: ID}")
    if network.cidr:
        raise ValueError("the range of network.cidr is for new subnets: leave one of both out")
    if missing:
        raise ValueError(f"{', '.join(missing)} has no subnet: name one a zone, or write network.cidr for new ones")
    if unknown:
        raise ValueError(f"{', '.join(unknown)} does not stand in zones")
