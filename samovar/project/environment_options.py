"""The parts of an environment beside its groups: servers outside, operators, the folder of images, and bakes."""

from __future__ import annotations

from pydantic import Field

from samovar.project.fields import Addresses, CloudId, Family, Host, Name, OutsidePort, PublicKey, Strict


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
