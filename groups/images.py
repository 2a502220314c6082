"""Which images an environment's groups are made from, and whether their roles know the settings that they are given.

By the repository's content alone, never by what is newest in the cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cloudinit.node.errors import Wrong
from cloudinit.node.role import read_role, read_settings
from envs.model import Environment, Group
from groups.desired import metadata
from groups.spec import Observed
from images.bakery.definition import load_images
from images.bakery.digest import digests, image_name
from images.bakery.model import Images, lineage
from kit.errors import CloudError, ConfigError
from kit.paths import ROOT

ROLES = "/usr/lib/samovar/roles"


def image_names(environment: Environment, root: Path = ROOT) -> dict[str, str]:
    """The full name of each image that a group asks for.

    Raises ConfigError for an image that the repository does not have, and for settings that the node agent in it would
    refuse: better here than on a machine that never gets well.
    """
    images = load_images(root)
    for group in environment.groups:
        where = f"group {group.name} of {environment.name}"
        if group.image not in images:
            known = ", ".join(sorted(images)) or "none"
            raise ConfigError(f"{where}: no image {group.image} in images/", remedy=f"images: {known}")
        _check_settings(environment, group, images)
    known_digests = digests(images)
    return {group.image: image_name(group.image, known_digests[group.image]) for group in environment.groups}


def require_images(names: Mapping[str, str], observed: Observed) -> None:
    """Raises CloudError with the command that bakes what the cloud does not have."""
    missing = sorted(image for image, name in names.items() if name not in dict(observed.images))
    if missing:
        raise CloudError(
            f"not in this cloud: {', '.join(names[image] for image in missing)}",
            remedy=f"./cli.py bake --env {observed.environment}",
        )


def _check_settings(environment: Environment, group: Group, images: Images) -> None:
    """The very check of the node agent, on the role's file that goes into the image."""
    where = f"group {group.name} of {environment.name}"
    target = f"{ROLES}/{group.image}.yaml"
    files = {file.target: file.data for image in lineage(group.image, images) for file in image.files}
    if target not in files:
        raise ConfigError(
            f"{where}: image {group.image} holds no role for its machines",
            remedy=f"let images/{group.image}/image.yaml put {target} into it, or choose another image",
        )
    try:
        role = read_role(files[target].decode(), target)
        read_settings(metadata(environment, group).get("samovar-settings", ""), role.defaults)
    except Wrong as error:
        raise ConfigError(f"{where}: {error}", remedy="correct `settings:` of the group") from error
