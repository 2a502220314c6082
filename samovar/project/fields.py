"""The base of models of what operators write, and the types of their values.

What the cloud would refuse is refused here, with what is right instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from samovar.core.constants import GIB, MAX_PORT, MIB
from samovar.core.validation import shown


class Strict(BaseModel):
    """A model that refuses unknown keys and whose values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""The ranges of RFC 1918, which the cloud's subnets are parts of."""
UNITS = {"M": MIB, "G": GIB, "T": 1024 * GIB}
SIZE = re.compile(r"(\d+)([MGT])")
CORES = frozenset({*range(2, 41, 2), 44, 48, 52, 56, 60, 64, 68, 72, 76, 80})
FRACTIONS = (5, 20, 50, 100)
RESERVED = frozenset({"rollout-lock"})
NAME = r"^[a-z]([-a-z0-9]{0,29}[a-z0-9])?$"
PUBLIC_KEY = r"^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-\S+@openssh\.com) [A-Za-z0-9+/]+={0,3}( [^\n]*)?$"
TEXT = {"type": "string"}
IN_LIBRARY = "samovar/"
"""The beginning of what an operator writes for what the library has, such as the image `samovar/base`."""
OF_LIBRARY = "samovar-"
"""The beginning of the names that images of the library have in the cloud."""


def library_name(image: str) -> str:
    """Return the name of an image in the cloud: `samovar-base` for `samovar/base`, and a project's own as it is."""
    return image.replace(IN_LIBRARY, OF_LIBRARY)


def written_name(image: str) -> str:
    """Return the name of an image as an operator writes it: the inverse of `library_name`."""
    return image.replace(OF_LIBRARY, IN_LIBRARY, 1) if image.startswith(OF_LIBRARY) else image


def _size(value: object) -> int:
    match = SIZE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"a size is a whole number with M, G or T, such as 1G; not {value!r}")
    return int(match[1]) * UNITS[match[2]]


def _cores(value: int) -> int:
    if value not in CORES:
        raise ValueError(f"a machine has an even number of cores from 2 on, as the cloud offers them; not {value}")
    return value


def _fraction(value: int) -> int:
    if value not in FRACTIONS:
        raise ValueError(f"a core's share is one of {', '.join(map(str, FRACTIONS))} per cent; not {value}")
    return value


def _between(low: int, high: int, rule: str) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"{rule}; not {value / GIB:g}G")
        return value

    return check


def _network(value: object) -> IPv4Network:
    network = IPv4Network(value) if isinstance(value, str) else None
    if not network:
        raise ValueError(f"a network's range is text such as 10.30.0.0/16; not {value!r}")
    if not any(network.subnet_of(private) for private in PRIVATE):
        raise ValueError(f"a network's range is private: part of {', '.join(map(str, PRIVATE))}; not {network}")
    if not 16 <= network.prefixlen <= 24:  # noqa: PLR2004 - a subnet of the cloud is /16 to /28; each zone takes a part
        raise ValueError(f"a network's range is /16 to /24; not /{network.prefixlen}")
    return network


def _addresses(value: object) -> IPv4Network:
    if not isinstance(value, str):
        raise ValueError(f"a range of addresses is text such as 198.51.100.7/32; not {value!r}")  # noqa: TRY004 - pydantic takes it for what it is
    return IPv4Network(value)


def _distinct(zones: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(zones)) < len(zones):
        raise ValueError(f"each zone stands once in zones; not {', '.join(zones)}")
    return zones


def _not_reserved(name: str) -> str:
    if name.replace("_", "-") in RESERVED:
        raise ValueError(f"the name {name} is reserved: ENV-{name.replace('_', '-')} is the lock of a rollout")
    return name


def _not_seeded(name: str) -> str:
    if name == "seeded":
        raise ValueError("a secret named seeded is the tool's own: by it a group is told whether its disk got its rows")
    return name


def _by_own_names(value: object) -> object:
    names = isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
    return {name: name for name in value} if names and isinstance(value, list | tuple) else value


def _sizes(low: int, high: int, rule: str) -> tuple[BeforeValidator, AfterValidator, WithJsonSchema]:
    schema = WithJsonSchema({"type": "string", "pattern": f"^{SIZE.pattern}$"})
    return BeforeValidator(_size), AfterValidator(_between(low, high, rule)), schema


def _of_form(pattern: str, rule: str) -> tuple[AfterValidator, WithJsonSchema]:
    """Return a constraint by a pattern, whose errors state the rule in words."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{rule}; not {shown(value)}")
        return value

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": pattern})


def _absolute(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path} is not an absolute path in the image")
    return path


def _relative(path: str) -> str:
    if path.startswith("/"):
        raise ValueError(f"{path} is not a path in this project")
    return path


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"one line of printable characters; not {text!r}")
    return text


Name = Annotated[
    str,
    *_of_form(NAME, "a name has up to 31 small letters, digits and hyphens, a letter first, no hyphen last"),
    AfterValidator(_not_reserved),
]
SecretName = Annotated[
    str,
    *_of_form(
        r"^[a-z][a-z0-9_]{0,30}$",
        "the name of a secret has up to 31 small letters, digits and underscores, a letter first",
    ),
    AfterValidator(_not_reserved),
    AfterValidator(_not_seeded),
]
SecretBindings = Annotated[
    dict[SecretName, SecretName],
    BeforeValidator(_by_own_names),
    WithJsonSchema({"anyOf": [{"type": "object", "additionalProperties": TEXT}, {"type": "array", "items": TEXT}]}),
]
"""Secrets of an environment by the names that a role gives them; written as a list where the names are the same."""
PublicKey = Annotated[
    str, *_of_form(PUBLIC_KEY, "a public key of SSH is one line of a file such as ~/.ssh/id_ed25519.pub")
]
CloudId = Annotated[
    str, *_of_form(r"^[a-z][a-z0-9]{1,49}$", "an id of the cloud has small letters and digits, a letter first")
]
Zone = Annotated[str, *_of_form(r"^[a-z]{2}-[a-z]+[0-9]-[a-h]$", "a zone is one such as ru-central1-a")]
Zones = Annotated[
    tuple[Zone, ...],
    Field(min_length=1),
    AfterValidator(_distinct),
]
Family = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""A family of images, as the API's protos allow it."""
Domain = Annotated[
    str,
    *_of_form(r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z]{2,}$", "a domain is one such as shop.example.org"),
]
Host = Annotated[
    str,
    *_of_form(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$",
        "a host is a name such as db.example.org, or an IPv4 address",
    ),
]
"""The name of a server outside, or its IPv4 address."""
Port = Annotated[int, Field(ge=1, le=MAX_PORT)]
"""A port of a machine: a target of a balancer is at most 32767."""
CheckInterval = Annotated[int, Field(ge=2, le=300)]
CheckTimeout = Annotated[int, Field(ge=1, le=60)]
"""Seconds of a health check: a balancer's interval is a second longer than its timeout at least."""
Threshold = Annotated[int, Field(ge=2, le=10)]
OutsidePort = Annotated[int, Field(ge=1, le=65535)]
Cores = Annotated[int, AfterValidator(_cores), WithJsonSchema({"enum": sorted(CORES)})]
CoreFraction = Annotated[int, AfterValidator(_fraction), WithJsonSchema({"enum": [*FRACTIONS]})]
Memory = Annotated[int, *_sizes(GIB // 2, 256 * GIB, "memory is 512M to 256G")]
"""Bytes; written as 1G."""
DiskSize = Annotated[int, *_sizes(GIB, 4096 * GIB, "a disk is 1G to 4T")]
"""Bytes; written as 10G."""
PrivateNetwork = Annotated[IPv4Network, BeforeValidator(_network), WithJsonSchema(TEXT)]
Addresses = Annotated[IPv4Network, BeforeValidator(_addresses), WithJsonSchema(TEXT)]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+:@_-]*$")]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9][A-Za-z0-9.+~-]*$")]
Package = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.+:@_-]|\{version\})*$")]
"""The name of a package of Debian; `{version}` in it stands for the image's."""
DataFormat = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9_-]|\{version\})*$", max_length=40)]
ImageName = Annotated[
    str,
    *_of_form(
        r"^(samovar/)?[a-z][a-z0-9-]{0,40}$",
        "the name of an image has up to 41 small letters, digits and hyphens, a letter first",
    ),
]
MachineImage = Annotated[ImageName, AfterValidator(library_name)]
"""The name that an image has in the cloud; written as `samovar/edge` where it is one of the library."""
KindName = Annotated[
    str,
    *_of_form(
        r"^(samovar/)?[a-z]([-a-z0-9]{0,29}[a-z0-9])?$",
        "the name of a kind has up to 31 small letters, digits and hyphens, a letter first, no hyphen last",
    ),
]
Line = Annotated[str, AfterValidator(_one_line)]
Target = Annotated[Line, AfterValidator(_absolute)]
"""An absolute path in the image."""
Source = Annotated[Line, AfterValidator(_relative)]
"""A path in the project, seen from the folder of the image."""
Mode = Annotated[str, *_of_form("^0[0-7]{3}$", 'a mode is written in quotes, such as "0644"')]
Owner = Annotated[
    str, *_of_form("^[a-z_][a-z0-9_-]*:[a-z_][a-z0-9_-]*$", "an owner is a user and a group, such as www-data:adm")
]
