"""Hears what a bake says: shows its steps as they run, and keeps what an error must tell."""

from __future__ import annotations

import re
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from samovar.core.errors import ProcessFailed
from samovar.core.output import Reporter

LAST_LINES = 12


class Progress:
    """Feeds on lines: `::step NAME` ends a step and starts the next, `::run COMMAND` names what runs now.

    `::exit CODE` is how it ended, where the process that is seen from here has a code of its own.
    """

    def __init__(self, image: str, reporter: Reporter) -> None:
        self._image = image
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

    def hear(self, line: str) -> None:
        if line.startswith("::step "):
            self._next(line.removeprefix("::step "))
        elif code := re.fullmatch(r"::exit (\d+)", line):
            self.code = int(code[1])
        elif run := re.match("::+run (.*)", line):
            self.command = run[1].strip()
            self._last.clear()
        else:
            self._last.append(line)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """What the command said that runs now, or the end of it."""
        return tuple(self._last)

    def explained(self, error: ProcessFailed, log: Path) -> ProcessFailed:
        """The failure in the words of the bake: the step, the command in it, what that said last."""
        code = error.returncode if self.code is None else self.code
        shown = "".join(f"\n  | {line}" for line in self.last_lines)
        return ProcessFailed(
            f"image {self._image}: {self.step}: `{self.command}` ended with {code}{shown}",
            returncode=code,
            output="\n".join(self.last_lines),
            remedy=f"the whole of what it said is in {log}",
        )

    def _next(self, step: str) -> None:
        self._running.close()
        self.step = step
        self._running.enter_context(self._reporter.step(f"{self._image}: {step}"))
