"""The Packer builder: finds what is missing in the cloud, and bakes it on machines there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from samovar.cloud.session import Session
from samovar.core.output import Reporter
from samovar.core.paths import cache_dir
from samovar.images.builders.base import bake_lock, bake_side_by_side, report_unchanged
from samovar.images.builders.packer.bake import PackerBakes
from samovar.images.builders.packer.build_network import build_network
from samovar.images.builders.packer.cleanup import find_abandoned, remove
from samovar.images.builders.packer.template import BUNDLE, find_source_image, template, write_bundle
from samovar.images.builders.packer.toolchain import prepare_toolchain
from samovar.images.definition import SHORT, Images, digests, image_name
from samovar.images.listing import full_names
from samovar.images.load import load_images
from samovar.images.plan import plan_bake, require_images
from samovar.images.publish import published
from samovar.project.project import Project

PRINTED_TEMPLATES = "templates"
"""The folder for the bundles of printed templates, in that of the bakes."""


@dataclass(frozen=True)
class PackerBuilder:
    """The builder that bakes on machines of the cloud; `ssh_from` is the range of addresses that may reach them.

    Root images start from the newest image of `family`, or of the one for their suite.
    """

    session: Session
    project: Project
    reporter: Reporter
    ssh_from: str | None = None
    family: str | None = None

    def bake(self, names: Sequence[str], *, force: bool, refresh: bool) -> None:
        """Bake and publish what the cloud does not have: see `Builder`."""
        baked = bake_packer(
            self.session,
            self.project,
            names,
            reporter=self.reporter,
            ssh_from=self.ssh_from,
            family=self.family,
            force=force,
            refresh=refresh,
        )
        if not baked:
            report_unchanged(self.reporter, full_names(self.project, names).values())


def bake_packer(
    session: Session,
    project: Project,
    names: Iterable[str],
    *,
    reporter: Reporter,
    ssh_from: str | None = None,
    family: str | None = None,
    force: bool = False,
    refresh: bool = False,
) -> tuple[str, ...]:
    """Bake what the cloud does not have of the images `names` (none: all) and of their parents; returns their ids.

    `ssh_from` is the range of addresses that may reach the machines; None is any, with a warning. `family` is that of
    the public images that root images start from; None is the one for their suite.
    With `force` the images named are baked anew; with `refresh` their parents too.
    Raises ConfigError, HostError (no Packer that fits), CloudError, or ProcessFailed for a failed step, as the local
    builder does. However it ends, nothing of the bake stays in the cloud but complete images. If the cloud cannot be
    reached any more, the error names what may be left, and the next bake removes it, even if it has nothing to bake.
    """
    images = load_images(project)
    plan = partial(missing_images, session, tuple(names) or tuple(images), images, force=force, refresh=refresh)
    remove(session, find_abandoned(session), reporter)
    if not plan():
        return ()
    toolchain = prepare_toolchain(reporter)
    with bake_lock(_folder(), reporter):
        _remove_old_folders(_folder())
        with build_network(session, reporter, ssh_from=ssh_from) as network:
            remove(session, find_abandoned(session), reporter)  # ages are known since the operations above
            bakes = PackerBakes(session, images, digests(images), toolchain, network, reporter, _folder(), family)
            return tuple(image for independent in plan() for image in bake_side_by_side(independent, bakes.bake))


def print_template(session: Session, project: Project, name: str) -> str:
    """Return the template of one image, and write the bundle that it names."""
    images = load_images(project)
    require_images([name], images)
    digest = digests(images)[name]
    folder = _folder() / PRINTED_TEMPLATES / f"{name}-{digest[:SHORT]}"
    folder.mkdir(parents=True, exist_ok=True)
    write_bundle(folder / BUNDLE, images[name], digest)
    text = template(
        images[name], digest, find_source_image(session, images, name), session.access, session.images_folder_id
    )
    return text.replace("${path.root}", str(folder))


def missing_images(
    session: Session, names: Sequence[str], images: Images, *, force: bool = False, refresh: bool = False
) -> tuple[tuple[str, ...], ...]:
    """Return the images to bake of those named and their parents, in groups that are baked at the same time."""
    by_name = digests(images)
    in_cloud = {image.name for image in published(session)}
    ready = [digest for name, digest in by_name.items() if image_name(name, digest) in in_cloud]
    return plan_bake(names, images, by_name, ready, force=force, refresh=refresh)


def _remove_old_folders(folder: Path) -> None:
    """Remove what a killed bake left on this host, its key included; the lock excludes any other bake."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != PRINTED_TEMPLATES:
            shutil.rmtree(path)


def _folder() -> Path:
    return cache_dir() / "packer"
