"""Renders what the agent writes on a machine of an image of this project or the library, and the watchdog reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from samovar.agent.clients import Secret
from samovar.agent.inputs import Facts, Machine, Peer, Upstream
from samovar.agent.render import render
from samovar.agent.role import Role, read_role, read_settings
from samovar.images.definition import Images, lineage
from samovar.images.inheritance import ROLES
from samovar.images.load import TEMPLATES, load_images
from samovar.watchdog.config import Config, read_config
from tests.support.checkout import PROJECT

MACHINE = Machine(id="one", name="a-1", hostname="a-1.internal", address="10.0.0.9", zone="ru-central1-a")


@cache
def images() -> Images:
    return load_images(PROJECT)


def role_files(image: str) -> Mapping[str, str]:
    """Return the role and the templates in the image, by their paths there."""
    parents_first = reversed([*lineage(image, images())])
    files = (file for each in parents_first for file in each.files)
    return {file.target: file.data.decode() for file in files if file.target.startswith((ROLES, TEMPLATES))}


def role_of(image: str) -> Role:
    return read_role(role_files(image)[f"{ROLES}/{image}.yaml"], image)


def rendered(
    image: str, settings: str, secrets: Mapping[str, Secret] | None = None, peers: tuple[Peer, ...] = ()
) -> Mapping[str, str]:
    """Return the files that the agent writes, by their paths."""
    role, files = role_of(image), role_files(image)
    upstreams = dict.fromkeys(role.upstreams, Upstream())
    facts = Facts(MACHINE, image, settings, peers=peers, upstreams=upstreams, secrets=secrets or {})
    written = render(role, read_settings(settings, role.defaults), facts, lambda name: files.get(f"{TEMPLATES}/{name}"))
    return {file.path: file.content for file in written}


def watchdog_config(port: int, **settings: object) -> Config:
    """Return what the watchdog reads on a machine of the application shop, by the defaults of the library."""
    given = json.dumps({"port": port, **settings})
    text = rendered("samovar-app", given)["/etc/application/watchdog.json"]
    return read_config(text, "shop.service", memory=1000)
