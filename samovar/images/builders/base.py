"""The parts that the builders share: their protocol, the lock, bakes side by side, and the progress of a bake."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from samovar.core.errors import ProcessFailed, shown_lines
from samovar.core.files import exclusive
from samovar.core.output import Reporter
from samovar.core.process import LAST_LINES, end_running

NO_PACKAGE = re.compile(r"E: (?:Unable to locate package (\S+)|Package '(\S+)' has no installation candidate)")
LOCK_TIMEOUT = 1800.0

T = TypeVar("T")


class Builder(Protocol):
    """A way to make images: on this machine, or by Packer on a machine of the cloud."""

    def bake(self, names: Sequence[str], *, force: bool, refresh: bool) -> None:
        """Bake and publish what the cloud does not have of the images `names` (none: all) and of their parents.

        With `force` the images named are baked anew; with `refresh` their parents too, all with today's packages.
        """


def report_unchanged(reporter: Reporter, full_names: Iterable[str]) -> None:
    """Say that the cloud has these images already."""
    reporter.info(f"nothing to do: {', '.join(full_names)} are baked and published")


@contextmanager
def bake_lock(folder: Path, reporter: Reporter) -> Iterator[None]:
    """Hold the lock of `folder`: one bake at a time; a second one waits, and then mostly finds its work done.

    The kernel frees it however we end. Raises WaitTimeout after half an hour.
    """

    def waits(holder: str) -> None:
        reporter.info(f"another bake runs (process {holder}): waiting for it")

    with exclusive(folder / "lock", timeout=LOCK_TIMEOUT, on_wait=waits):
        yield


def bake_side_by_side(names: Sequence[str], bake: Callable[[str], T]) -> tuple[T, ...]:
    """Return what `bake` gives for each. If one fails the others are finished first; on Ctrl-C all are ended."""
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        futures = [pool.submit(bake, name) for name in names]
        try:
            return tuple(future.result() for future in futures)
        except KeyboardInterrupt:
            _abandon(futures)
            raise


def _abandon(futures: Sequence[Future[T]]) -> None:
    while wait(futures, timeout=0.1).not_done:
        end_running()


class Progress:
    """The progress of a bake, read from its output, with what an error must name.

    `::step NAME` ends a step and starts the next, `::run COMMAND` names what runs now; `::exit CODE` is how it ended,
    where the process that is seen from here has a code of its own. What a script prints before its `exit` says why.
    """

    def __init__(self, image: str, suite: str, reporter: Reporter) -> None:
        self._image = image
        self._suite = suite
        self._reporter = reporter
        self._running = ExitStack()
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self.step = "start"
        self.command = ""
        self.code: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.__exit__(kind, error, trace)

    def read(self, line: str) -> None:
        """Take one line of the output."""
        if line.startswith("::step "):
            self._next(line.removeprefix("::step "))
        elif code := re.fullmatch(r"::exit (\d+)", line):
            self.code = int(code[1])
        elif run := re.match("::+run (.*)", line):
            self.command = run[1].strip()
            if not re.match(r"exit\b", self.command):
                self._last.clear()
        else:
            self._last.append(line)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """Return the last lines of the command that runs now."""
        return tuple(self._last)

    def explained(self, error: ProcessFailed, log: Path) -> ProcessFailed:
        """Return the failure in the words of the bake: the step, the command in it, its last lines."""
        code = error.returncode if self.code is None else self.code
        return ProcessFailed(
            f"image {self._image}: {self.step}: `{self.command}` ended with {code}{shown_lines(self.last_lines)}",
            returncode=code,
            output="\n".join(self.last_lines),
            remedy="; ".join((*self._packages_remedy(), f"full output: {log}")),
        )

    def _packages_remedy(self) -> Iterator[str]:
        for match in NO_PACKAGE.finditer("\n".join(self.last_lines)):
            yield (
                f"neither Debian's {self._suite} nor a repository of the image has {match[1] or match[2]}: correct "
                f"`packages` or `version` of image {self._image}, or add a repository that has it to its `repositories`"
            )

    def _next(self, step: str) -> None:
        self._running.close()
        self.step = step
        self._running.enter_context(self._reporter.step(f"{self._image}: {step}"))
