"""The Packer builder: bakes images on machines of the cloud, by Packer and its yandex plugin."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from samovar.cloud.session import Session
from samovar.core.output import Reporter
from samovar.core.paths import cache_dir
from samovar.images.builders.base import bake_lock, bake_side_by_side
from samovar.images.definition import Images
from samovar.images.digest import SHORT, digests, image_name
from samovar.images.load import load_images
from samovar.images.packer.bake import PackerOven
from samovar.images.packer.build_network import build_place
from samovar.images.packer.cleanup import abandoned, remove
from samovar.images.packer.source_image import origin
from samovar.images.packer.ssh_proxy import door
from samovar.images.packer.template import template
from samovar.images.packer.toolchain import ready_clients
from samovar.images.packer.upload_bundle import NAME, write_parcel
from samovar.images.plan import plan_bake
from samovar.images.publish import published
from samovar.project.project import Project

TEMPLATES = "templates"
"""Below the bakery's folder: what templates that were printed name."""


@dataclass(frozen=True)
class PackerBuilder:
    """The builder that bakes on machines of the cloud; `ssh_from` is the range of addresses that may reach them."""

    session: Session
    project: Project
    reporter: Reporter
    ssh_from: str | None = None

    def bake(self, names: Sequence[str], *, force: bool, refresh: bool) -> int:
        """Bake and publish what the cloud does not have: see `Builder`."""
        options = {"force": force, "refresh": refresh}
        published = bake_packer(
            self.session, self.project, names, reporter=self.reporter, ssh_from=self.ssh_from, **options
        )
        return len(published)


def bake_packer(
    session: Session,
    project: Project,
    names: Iterable[str],
    *,
    reporter: Reporter,
    ssh_from: str | None = None,
    force: bool = False,
    refresh: bool = False,
) -> tuple[str, ...]:
    """Bakes what the cloud does not have of the images `names` (none: all) and of their parents; returns their ids.

    `ssh_from` is the range of addresses that may reach the machines; None is any, with a warning.
    With `force` the images named are baked anew; with `refresh` their parents too.
    Raises ConfigError, HostError (no Packer that fits), CloudError, ProcessFailed (a step failed: as the local builder
    says it). However it ends, nothing of the bake stays in the cloud but whole images; where that cannot be reached any
    more the error names what may be left, and the next bake removes it, whether or not it has anything to bake.
    """
    images = load_images(project)
    wanted = tuple(names) or tuple(images)
    plan = partial(_waves, session, wanted, images, force=force, refresh=refresh)
    remove(session, abandoned(session), reporter)
    if not plan():
        return ()
    clients = ready_clients(reporter)
    with bake_lock(_folder(), reporter):
        _sweep(_folder())
        with build_place(session, reporter, ssh_from=ssh_from) as place, door() as ssh_proxy:
            remove(session, abandoned(session), reporter)  # the operations above told the time
            oven = PackerOven(session, images, digests(images), clients, place, ssh_proxy, reporter, _folder())
            return tuple(made for independent in plan() for made in bake_side_by_side(independent, oven.bake))


def _sweep(folder: Path) -> None:
    """Removes what a bake that was killed left here, its key among it; no other one runs now."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != TEMPLATES:
            shutil.rmtree(path)


def print_template(session: Session, project: Project, name: str) -> str:
    """The template of one image; the parcel that it names is written beside where the bake has it."""
    images = load_images(project)
    plan_bake([name], images, digests(images), ())
    digest = digests(images)[name]
    folder = _folder() / TEMPLATES / f"{name}-{digest[:SHORT]}"
    folder.mkdir(parents=True, exist_ok=True)
    write_parcel(folder / NAME, images[name], digest)
    text = template(images[name], digest, origin(session, images, name), session.access)
    return text.replace("${path.root}", str(folder))


def _waves(
    session: Session, names: Sequence[str], images: Images, *, force: bool, refresh: bool
) -> tuple[tuple[str, ...], ...]:
    known = digests(images)
    there = {image.name for image in published(session)}
    ready = [digest for name, digest in known.items() if image_name(name, digest) in there]
    return plan_bake(names, images, known, ready, force=force, refresh=refresh)


def _folder() -> Path:
    return cache_dir() / "packer"
