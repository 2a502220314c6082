"""Which images an environment's groups are made from, and whether their roles know the settings that they are given.

By the repository's content alone, never by what is newest in the cloud.
"""

from __future__ import annotations

from collections.abc import Mapping

from samovar.agent.dry_run import MACHINE
from samovar.agent.errors import Wrong
from samovar.agent.facts import Facts, Secret
from samovar.agent.render import render
from samovar.agent.role import Role, read_role, read_settings
from samovar.core.errors import CloudError, ConfigError
from samovar.deploy.desired import SEEDED, metadata
from samovar.deploy.specs import Observed
from samovar.images.definition import load_images
from samovar.images.digest import digests, image_name
from samovar.images.image import Images, lineage
from samovar.project.environment import Environment, Group, SecretKind

ROLES = "/usr/lib/samovar/roles"
TEMPLATES = "/usr/share/samovar/templates"
MADE_UP: Mapping[SecretKind, Secret] = {
    SecretKind.PASSWORD: "made-up",  # pragma: allowlist secret
    SecretKind.CERTIFICATE: {"cert": "made-up", "key": "made-up"},
}


def image_names(environment: Environment) -> dict[str, str]:
    """The full name of each image that a group asks for.

    Raises ConfigError for an image that the repository does not have, and for settings and secrets with which the node
    agent in it could not go on: better here than on a machine that never gets well.
    """
    images = load_images(environment.project)
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
    """The very checks of the node agent, on the role's files that go into the image."""
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
        settings = read_settings(metadata(environment, group).get("samovar-settings", ""), role.defaults)
    except Wrong as error:
        raise ConfigError(f"{where}: {error}", remedy="correct `settings:` of the group") from error
    try:
        render(role, settings, _facts(environment, group, role), lambda name: _text(files, f"{TEMPLATES}/{name}"))
    except Wrong as error:
        raise ConfigError(f"{where}: {error}", remedy=_remedy(group, role)) from error


def _facts(environment: Environment, group: Group, role: Role) -> Facts:
    """What a machine of the group would know, made up as far as the cloud has to say it."""
    secrets = {name: MADE_UP[environment.secrets[name]] for name in role.secrets if name in group.secrets}
    return Facts(MACHINE, group.image, "", peers=dict.fromkeys(role.peers, ()), secrets=secrets)


def _text(files: Mapping[str, bytes], target: str) -> str | None:
    return files[target].decode() if target in files else None


def _remedy(group: Group, role: Role) -> str:
    lacking = [name for name in role.secrets if name not in (*group.secrets, SEEDED)]
    if lacking:
        return f"the role knows secrets that the group does not have: give it `secrets: [{', '.join(lacking)}]`"
    return f"correct `settings:` of the group, or the templates of images/{group.image}"
