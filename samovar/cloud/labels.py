"""The labels by which the tool finds what it made: there is no other state than what the cloud says."""

from __future__ import annotations

from collections.abc import Mapping

MANAGED_BY = "managed-by"
SAMOVAR = "samovar"
ENV = "env"
GROUP = "group"
IMAGE = "image"
DIGEST = "digest"
MANIFEST = "manifest"
RECORD = "record"
"""What a secret of the tool's own tells machines; on no other secret."""
DISK = "disk"
"""The id of the disk that a data record is about."""
BAKE = "bake"


def of_environment(env: str, group: str = "") -> dict[str, str]:
    """The labels of a resource of an environment, and of one group of it where it is that group's own."""
    labels = {MANAGED_BY: SAMOVAR, ENV: env}
    return {**labels, GROUP: group} if group else labels


def of_image(image: str, digest: str, manifest: str) -> dict[str, str]:
    """The labels of an image: 12 hex digits of the `digest` of its content and of that of its packages."""
    return {MANAGED_BY: SAMOVAR, IMAGE: image, DIGEST: digest, MANIFEST: manifest}


def of_bake(holder: str) -> dict[str, str]:
    """The labels of what exists for a bake alone; `holder` says whose."""
    return {MANAGED_BY: SAMOVAR, BAKE: holder}


def is_passing(labels: Mapping[str, str]) -> bool:
    """Whether it exists for a bake alone."""
    return BAKE in labels


def is_ours(labels: Mapping[str, str]) -> bool:
    """Whether the tool made it."""
    return labels.get(MANAGED_BY) == SAMOVAR


def is_of(labels: Mapping[str, str], env: str) -> bool:
    """Whether it belongs to that environment."""
    return is_ours(labels) and labels.get(ENV) == env
