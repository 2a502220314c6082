"""The local builder: bakes images on this machine, as root, and keeps them in this user's cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from samovar.core.errors import HostError
from samovar.core.output import Reporter
from samovar.core.paths import cache_dir, require_own
from samovar.images.bake_lock import bakery_lock
from samovar.images.bake_plan import plan_bake
from samovar.images.definition import load_images
from samovar.images.digest import digests
from samovar.images.image import Images
from samovar.images.image_store import BakedImage, default_store
from samovar.images.local_bake import Oven
from samovar.images.parallel import bake_wave
from samovar.project.project import Project

TOOLS = ("mmdebstrap", "mkfs.ext4", "setpriv", "unshare", "mount", "chroot", "dpkg-query")
LISTS_STAMP = "lists.stamp"
"""Without it `bake.sh` fetches the package lists anew."""


def bake_local(
    project: Project, names: Iterable[str], *, reporter: Reporter, force: bool = False, refresh: bool = False
) -> tuple[BakedImage, ...]:
    """Bakes what is not baked of the images `names` (none: all) and of their parents; returns the images named.

    With `force` the images named are baked anew; with `refresh` their parents too, all with today's packages.
    Raises ConfigError (a definition is wrong), HostError (not root, something is missing here), ProcessFailed (a step
    failed: the message has the command and its last lines, the remedy the log's path).
    """
    images = load_images(project)
    wanted = tuple(names) or tuple(images)
    plan = partial(_waves, wanted, images, force=force, refresh=refresh)
    if plan():
        _demand_host()
        with bakery_lock(cache_dir() / "bake", reporter):
            _sweep(cache_dir() / "bake")
            if refresh:
                (cache_dir() / "apt" / LISTS_STAMP).unlink(missing_ok=True)
            # Planned again: what another bake made while we waited is not made twice.
            for wave in plan():
                bake_wave(wave, Oven(images, digests(images), default_store(), reporter).bake)
    ready = find_baked(images)
    return tuple(ready[name] for name in wanted)


def find_baked(images: Images) -> Mapping[str, BakedImage]:
    """Those of `images` that are baked in their present form, by name."""
    store = default_store()
    found = {name: store.find(name, digest) for name, digest in digests(images).items()}
    return {name: image for name, image in found.items() if image}


def _waves(names: Sequence[str], images: Images, *, force: bool, refresh: bool) -> tuple[tuple[str, ...], ...]:
    ready = {image.digest for image in find_baked(images).values()}
    return plan_bake(names, images, digests(images), ready, force=force, refresh=refresh)


def _sweep(folder: Path) -> None:
    """Removes what a bake that was killed left; no other one runs now."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)


def _demand_host() -> None:
    if os.geteuid() != 0:
        raise HostError("baking on this machine takes root", remedy="run it as root")
    require_own(cache_dir())
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise HostError(f"not on this machine: {', '.join(missing)}", remedy="make setup installs what is needed")
