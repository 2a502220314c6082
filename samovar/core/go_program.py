"""Programs in Go of exact versions: each is built once from a Go module that pins it, into this user's cache."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from samovar.core.errors import HostError, ProcessFailed
from samovar.core.files import exclusive
from samovar.core.output import Reporter
from samovar.core.paths import cache_dir
from samovar.core.process import run

TIMEOUT = 3 * 3600.0
OLDEST = (1, 24)
"""The oldest Go that reads these modules: earlier ones know no `tool` in a go.mod."""


@dataclass(frozen=True)
class GoTool:
    """A program of a Go module: `source` is its folder, `package` what is built, `target` the name of its file.

    `tests` builds the program that holds the tests of the package.
    """

    source: Path
    package: str
    target: str
    ldflags: str = "-s -w"
    tests: bool = False

    @property
    def module(self) -> str:
        return self.source.name

    @property
    def folder(self) -> Path:
        """The folder of the built program; every change of its inputs gives another one."""
        inputs = [(self.source / name).read_bytes() for name in ("go.mod", "go.sum")]
        inputs += [text.encode() for text in (self.package, self.target, self.ldflags)]
        digest = hashlib.sha256(b"\0".join(inputs)).hexdigest()
        return cache_dir() / "tools" / f"{self.module}-{digest[:12]}"

    @property
    def program(self) -> Path:
        return self.folder / self.target

    def version(self, dependency: str) -> str:
        """Return the version that the Go module pins a dependency to, as `1.2.3`."""
        match = re.search(rf"^\s*{re.escape(dependency)} v(\S+)", (self.source / "go.mod").read_text(), re.MULTILINE)
        if match is None:
            raise HostError(f"{self.source}/go.mod names no {dependency}", remedy="restore that file")
        return match[1]


def built(tool: GoTool) -> bool:
    """Return whether the program is built; its folder appears only when it is complete."""
    return tool.program.exists()


def build(tool: GoTool, reporter: Reporter) -> Path:
    """Build it unless it is there, and return where it is. Raises HostError, ProcessFailed."""
    if built(tool):
        return tool.program
    demand_go()
    # Two that build at once would work twice: the second one waits, and finds it built.
    with exclusive(tool.folder.parent / f"{tool.module}.lock", timeout=TIMEOUT):
        if not built(tool):
            with reporter.step(f"{tool.module}: built from its pinned source, a few minutes the first time"):
                _build(tool)
    return tool.program


def demand_go() -> None:
    """Raise HostError, which says what is missing and where it is to be had."""
    remedy = (
        f"install Go {'.'.join(map(str, OLDEST))} or newer and put it on PATH: Debian 13 has it as golang-go, Debian "
        "12 has none that is new enough; https://go.dev/dl has it for any system"
    )
    if shutil.which("go") is None:
        raise HostError("there is no Go on this machine", remedy=remedy)
    named = run(["go", "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}).stdout.strip()
    match = re.match(r"go(\d+)\.(\d+)", named)
    if match and tuple(map(int, match.groups())) < OLDEST:
        raise HostError(f"the Go on this machine is too old: {named}", remedy=remedy)


def _build(tool: GoTool) -> None:
    partial = tool.folder.with_suffix(".new")
    shutil.rmtree(partial, ignore_errors=True)
    program = partial / tool.target
    program.parent.mkdir(parents=True)
    command: list[str | Path] = [
        "go",
        *(("test", "-c") if tool.tests else ("build",)),
        "-mod=readonly",
        "-trimpath",
        "-ldflags",
        tool.ldflags,
        "-o",
        program,
        tool.package,
    ]
    log = tool.folder.with_suffix(".log")
    try:
        run(command, cwd=tool.source, timeout=TIMEOUT, logfile=log)
    except ProcessFailed as failure:
        raise HostError(
            f"{tool.module} cannot be built: {failure.output.rpartition(chr(10))[2]}",
            remedy=f"read {log}; Go takes the sources from the module proxy that `go env GOPROXY` names",
        ) from failure
    partial.rename(tool.folder)
    log.unlink(missing_ok=True)
