"""The local builder: bakes images on this machine, as root, and keeps them in this user's cache.

All of a bake happens in namespaces that die with it, and in memory where that is large enough; only a finished and
checked file system gets out. So a bake that is cut short at any point leaves nothing but a folder in the cache, which
the next one removes.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from samovar.cloud.session import Session
from samovar.core.apt_mirrors import sources_for
from samovar.core.cache import keep_used, mark_used
from samovar.core.errors import HostError, ProcessFailed
from samovar.core.output import Reporter
from samovar.core.paths import PACKAGE, cache_dir, require_linux, require_own
from samovar.core.process import IN_NAMESPACES, run
from samovar.images.bake_input import write_spec
from samovar.images.builders.base import Progress, bake_lock, bake_side_by_side, report_unchanged
from samovar.images.definition import SHORT, ImageDefinition, Images, digests, suite_of
from samovar.images.listing import full_names
from samovar.images.load import STEPS, load_images
from samovar.images.plan import plan_bake
from samovar.images.publish import publish, published, require_storage, to_publish
from samovar.images.store import BakedImage, Store, default_store, parse_packages
from samovar.project.project import Project

TOOLS = ("mmdebstrap", "mkfs.ext4", "setpriv", "unshare", "mount", "chroot", "dpkg-query")
LISTS_STAMP = "lists.stamp"
"""Without it `bake.sh` fetches the package lists anew."""
BAKE = STEPS[0]
TIMEOUT = 3600.0
NO_ROOM = os.strerror(errno.ENOSPC)
MEMORY_NEEDED = 3 * 2**20
"""KiB that must be available before trees are built in memory, which takes a tenth of it for an image of today."""


@dataclass(frozen=True)
class LocalBuilder:
    """The builder that bakes on this machine and uploads RAW files, for a local cloud of one's own."""

    session: Session
    project: Project
    reporter: Reporter

    def bake(self, names: Sequence[str], *, force: bool, refresh: bool) -> None:
        """Bake and publish what the cloud does not have: see `Builder`."""
        require_storage(self.session)
        by_name = full_names(self.project, names)
        there = published(self.session)
        existing = {image.name for image in there}
        missing = [name for name, full_name in by_name.items() if force or refresh or full_name not in existing]
        again = {"force": force, "refresh": refresh}
        baked = bake_local(self.project, missing, reporter=self.reporter, **again) if missing else ()
        images = [image for image in baked if to_publish(image, there, force=force, refresh=refresh)]
        for image in images:
            with self.reporter.step(f"publish {image.full_name}"):
                publish(self.session, image)
        if not images:
            report_unchanged(self.reporter, by_name.values())


def bake_local(
    project: Project, names: Iterable[str], *, reporter: Reporter, force: bool = False, refresh: bool = False
) -> tuple[BakedImage, ...]:
    """Bake what is not baked of the images `names` (none: all) and of their parents; return the images named.

    With `force` the images named are baked anew; with `refresh` their parents too, all with today's packages.
    Raises ConfigError (a definition is wrong), HostError (not root, something is missing here), ProcessFailed (a step
    failed: the message has the command and its last lines, the remedy the log's path).
    """
    images = load_images(project)
    names = tuple(names) or tuple(images)
    plan = partial(_plan, names, images, force=force, refresh=refresh)
    if plan():
        _require_host()
        with bake_lock(cache_dir() / "bake", reporter):
            _clean(cache_dir() / "bake")
            keep_used((cache_dir() / "apt/archives").glob("*.deb"))
            if refresh:
                (cache_dir() / "apt" / LISTS_STAMP).unlink(missing_ok=True)
            # Planned again: what another bake made while we waited is not made twice.
            for independent in plan():
                bake_side_by_side(independent, Bake(images, digests(images), default_store(), reporter).run)
    ready = find_baked(images)
    return tuple(ready[name] for name in names)


def find_baked(images: Images) -> Mapping[str, BakedImage]:
    """Return those of `images` that are baked in their present form, by name; they count as used."""
    store = default_store()
    baked = {name: store.find(name, digest) for name, digest in digests(images).items()}
    for image in filter(None, baked.values()):
        with suppress(FileNotFoundError):  # another bake renews it just now
            mark_used(image.raw)
    return {name: replace(image, data_format=images[name].data_format) for name, image in baked.items() if image}


def _plan(names: Sequence[str], images: Images, *, force: bool, refresh: bool) -> tuple[tuple[str, ...], ...]:
    ready = {image.digest for image in find_baked(images).values()}
    return plan_bake(names, images, digests(images), ready, force=force, refresh=refresh)


def _clean(folder: Path) -> None:
    """Remove what a bake that was killed left; no other one runs now."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)


def _require_host() -> None:
    require_linux("baking on this machine", "bake on machines of the cloud: --builder packer")
    if os.geteuid() != 0:
        raise HostError("baking on this machine takes root", remedy="run it as root")
    require_own(cache_dir())
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise HostError(f"not on this machine: {', '.join(missing)}", remedy="make setup installs what is needed")


@dataclass(frozen=True)
class Bake:
    """Bakes one image after another, or several side by side; their parents are in the store."""

    images: Images
    digests: Mapping[str, str]
    store: Store
    reporter: Reporter

    def run(self, name: str) -> BakedImage:
        """Write down what to bake, run `bake.sh`, and take over what it made.

        Raises ProcessFailed with the command that failed, its last lines, and the path of the log.
        Raises HostError where this host has no place for what is baked.
        """
        image, digest = self.images[name], self.digests[name]
        work, log = self._folders(f"{name}-{digest[:SHORT]}")
        try:
            (work / "spec").mkdir(parents=True)
            with self._fetching(image):
                write_spec(work / "spec", image, sources_for(image.suite) if image.suite else ())
            self._run(image, work, log)
            packages = parse_packages((work / "raw.packages").read_text())
            return self.store.keep(name, digest, work / "raw", packages)
        except OSError as error:
            remedy = _make_room() if error.errno == errno.ENOSPC else ""
            raise HostError(f"image {name}: {error}", remedy=remedy) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _fetching(self, image: ImageDefinition) -> AbstractContextManager[None]:
        """Show that an application is fetched, which may take long."""
        fetched = image.application and image.application.url
        return self.reporter.step(f"{image.name}: application") if fetched else nullcontext()

    def _folders(self, label: str) -> tuple[Path, Path]:
        work, log = cache_dir() / "bake" / label, cache_dir() / "logs" / f"bake-{label}.log"
        self.store.folder.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        return work, log

    def _run(self, image: ImageDefinition, work: Path, log: Path) -> None:
        command = (*IN_NAMESPACES, "bash", BAKE)
        with Progress(image.name, suite_of(image.name, self.images), self.reporter) as progress:
            try:
                run(command, env=self._environment(image, work), timeout=TIMEOUT, on_line=progress.read, logfile=log)
            except ProcessFailed as error:
                raise _with_room(progress.explained(error, log)) from error

    def _environment(self, image: ImageDefinition, work: Path) -> Mapping[str, str]:
        digest = self.digests[image.name]
        parent = self.store.raw(image.parent, self.digests[image.parent]) if image.parent else ""
        return {
            "WORK": str(work),
            "OUT": str(work / "raw"),
            "PARENT": str(parent),
            "SUITE": image.suite or "",
            "APT_CACHE": str(cache_dir() / "apt"),
            "IN_MEMORY": "yes" if _available(Path("/proc/meminfo").read_text()) >= MEMORY_NEEDED else "no",
            "PYTHON": sys.executable,
            "PYTHONPATH": str(PACKAGE.parent),
            "DIGEST": digest,
            "LABEL": image.name[:16],
            "UUID": str(uuid.UUID(digest[:32])),
        }


def _available(meminfo: str) -> int:
    match = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(match[1]) if match else 0


def _with_room(error: ProcessFailed) -> ProcessFailed:
    if NO_ROOM in error.output:
        error.remedy = f"{_make_room()}; {error.remedy}"
    return error


def _make_room() -> str:
    free = shutil.disk_usage(cache_dir()).free >> 20
    return f"make room in {cache_dir()}, where {free} MiB are free, or name another place in XDG_CACHE_HOME"
