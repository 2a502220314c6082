"""The labels by which the tool finds its resources: the cloud holds all the state that there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MANAGED_BY = "managed-by"
SAMOVAR = "samovar"
ENV = "env"
GROUP = "group"
IMAGE = "image"
DIGEST = "digest"
MANIFEST = "manifest"
DATA_FORMAT = "data-format"
"""The format of the rows that machines of an image make: a label of the image, and of the seed record of their disk."""
RECORD = "record"
"""The label of secrets that are seed records; no other secret has it."""
DISK = "disk"
"""The id of the disk that a seed record is about."""
DATA_DISK = "data-disk"
"""The name that a data disk has in its group; the disk bears it, and each snapshot of it."""
ON_DESTROY = "on-destroy"
"""What a destruction does with a data disk."""
SECRET_TYPE = "secret-type"  # noqa: S105 - a label  # pragma: allowlist secret
"""The label of secrets that the operator provides; others show by their content what they are."""
BAKE = "bake"


def of_environment(env: str, group: str = "") -> dict[str, str]:
    """Return the labels of a resource of an environment, and of one group of it where it is that group's own."""
    labels = {MANAGED_BY: SAMOVAR, ENV: env}
    return {**labels, GROUP: group} if group else labels


def to_texts(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return labels as `key=value`, sorted, to be compared and shown."""
    return tuple(sorted(f"{key}={value}" for key, value in labels.items()))


def from_texts(texts: Iterable[str]) -> dict[str, str]:
    """Return the labels of `to_texts`."""
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


def of_image(image: str, digest: str, manifest: str, data_format: str = "") -> dict[str, str]:
    """Return the labels of an image: 12 hex digits of the `digest` of its content and of that of its packages."""
    labels = {MANAGED_BY: SAMOVAR, IMAGE: image, DIGEST: digest, MANIFEST: manifest}
    return {**labels, DATA_FORMAT: data_format} if data_format else labels


def of_bake(holder: str) -> dict[str, str]:
    """Return the labels of what exists for a bake alone; `holder` names its owner."""
    return {MANAGED_BY: SAMOVAR, BAKE: holder}


def is_passing(labels: Mapping[str, str]) -> bool:
    """Return whether a resource exists for a bake alone."""
    return BAKE in labels


def is_ours(labels: Mapping[str, str]) -> bool:
    """Return whether the tool created a resource."""
    return labels.get(MANAGED_BY) == SAMOVAR


def is_of(labels: Mapping[str, str], env: str) -> bool:
    """Return whether a resource belongs to that environment."""
    return is_ours(labels) and labels.get(ENV) == env
