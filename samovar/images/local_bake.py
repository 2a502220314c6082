"""One image's bake: write down what to bake, run `bake.sh`, take over what it made.

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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samovar.core.apt_mirrors import sources_for
from samovar.core.errors import HostError, ProcessFailed
from samovar.core.output import Reporter
from samovar.core.paths import PACKAGE, cache_dir
from samovar.core.process import IN_NAMESPACES, run
from samovar.images.bake_input import write_spec
from samovar.images.build_artifact import with_programs
from samovar.images.digest import SHORT
from samovar.images.image import ImageDefinition, Images
from samovar.images.image_store import BakedImage, Store, parse_packages
from samovar.images.progress import Progress

BAKE = Path(__file__).parent / "bake.sh"
TIMEOUT = 3600.0
NO_ROOM = os.strerror(errno.ENOSPC)
MEMORY_WANTED = 3 * 2**20
"""KiB that must be available before trees are built in memory, which takes a tenth of it for an image of today."""


@dataclass(frozen=True)
class Oven:
    """Bakes one image after another, or several side by side; their parents are in the store."""

    images: Images
    digests: Mapping[str, str]
    store: Store
    reporter: Reporter

    def bake(self, name: str) -> BakedImage:
        """Raises ProcessFailed with the command that failed, its last lines, and the path of the log.

        Raises HostError where this host has no place for what is baked.
        """
        image, digest = self.images[name], self.digests[name]
        work, log = self._folders(f"{name}-{digest[:SHORT]}")
        try:
            (work / "spec").mkdir(parents=True)
            write_spec(work / "spec", with_programs(image), sources_for(image.suite) if image.suite else ())
            self._run(image, work, log)
            packages = parse_packages((work / "raw.packages").read_text())
            return self.store.keep(name, digest, work / "raw", packages)
        except OSError as error:
            remedy = _make_room() if error.errno == errno.ENOSPC else ""
            raise HostError(f"image {name}: {error}", remedy=remedy) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _folders(self, label: str) -> tuple[Path, Path]:
        work, log = cache_dir() / "bake" / label, cache_dir() / "logs" / f"bake-{label}.log"
        self.store.folder.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        return work, log

    def _run(self, image: ImageDefinition, work: Path, log: Path) -> None:
        command = (*IN_NAMESPACES, "bash", BAKE)
        with Progress(image.name, self.reporter) as progress:
            try:
                run(command, env=self._environment(image, work), timeout=TIMEOUT, on_line=progress.hear, logfile=log)
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
            "IN_MEMORY": "yes" if _available(Path("/proc/meminfo").read_text()) >= MEMORY_WANTED else "no",
            "PYTHON": sys.executable,
            "PYTHONPATH": str(PACKAGE.parent),
            "DIGEST": digest,
            "LABEL": image.name[:16],
            "UUID": str(uuid.UUID(digest[:32])),
        }


def _available(meminfo: str) -> int:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found[1]) if found else 0


def _with_room(error: ProcessFailed) -> ProcessFailed:
    if NO_ROOM in error.output:
        error.remedy = f"{_make_room()}; {error.remedy}"
    return error


def _make_room() -> str:
    free = shutil.disk_usage(cache_dir()).free >> 20
    return f"make room in {cache_dir()}, where {free} MiB are free, or name another place in XDG_CACHE_HOME"
