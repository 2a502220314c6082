"""Computes digests. An image is its content: one digest over all in the project that goes into it, parents included."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

from pydantic import BaseModel

from samovar.images.definition import ImageDefinition, Images

SHORT = 12


def digests(images: Images) -> Mapping[str, str]:
    """Return the sha256 of each image, in hex. `images` stand parents first, as `load_images` gives them."""
    digests: dict[str, str] = {}
    for name, image in images.items():
        digests[name] = digest_of(image, digests[image.parent] if image.parent else "")
    return digests


def digest_of(image: ImageDefinition, parent_digest: str) -> str:
    """Return the sha256, in hex, over the whole definition and the digest of the parent ("" for a root)."""
    inputs = json.dumps([parent_digest, _canonical(image)], sort_keys=True)
    return hashlib.sha256(inputs.encode()).hexdigest()


def image_name(name: str, digest: str) -> str:
    """Return the image's name in the cloud, e.g. `samovar-nginx-0123456789ab`."""
    return f"{family(name)}-{digest[:SHORT]}"


def family(name: str) -> str:
    """Return the family of an image in the cloud: `samovar-nginx`; the library's images have such names already."""
    return name if name.startswith("samovar-") else f"samovar-{name}"


def file_sha256(file: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _canonical(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _canonical(getattr(value, field.name)) for field in fields(value) if field.compare}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple):
        return [_canonical(item) for item in value]
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value
