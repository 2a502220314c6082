"""Which images an environment's groups are made from: by the repository's content, never by the newest in the cloud."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from envs.model import Environment
from groups.spec import Observed
from images.bakery.definition import load_images
from images.bakery.digest import digests, image_name
from kit.errors import CloudError, ConfigError
from kit.paths import ROOT


def image_names(environment: Environment, root: Path = ROOT) -> dict[str, str]:
    """The full name of each image that a group asks for; ConfigError for one that the repository does not have."""
    known = digests(load_images(root))
    for group in environment.groups:
        if group.image not in known:
            raise ConfigError(
                f"group {group.name} of {environment.name}: no image {group.image} in images/",
                remedy=f"images: {', '.join(sorted(known)) or 'none'}",
            )
    return {group.image: image_name(group.image, known[group.image]) for group in environment.groups}


def require_images(names: Mapping[str, str], observed: Observed) -> None:
    """Raises CloudError with the command that bakes what the cloud does not have."""
    missing = sorted(image for image, name in names.items() if name not in dict(observed.images))
    if missing:
        raise CloudError(
            f"not in this cloud: {', '.join(names[image] for image in missing)}",
            remedy=f"./cli.py bake {' '.join(missing)}",
        )
