"""Hears what `bake.sh` says: shows its steps as they run, and keeps what an error must tell."""

from __future__ import annotations

import re
from collections import deque
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from kit.output import Talk

LAST_LINES = 12


class Progress:
    """Feeds on lines: `::step NAME` ends a step and starts the next, `::run COMMAND` names what runs now."""

    def __init__(self, image: str, talk: Talk) -> None:
        self._image = image
        self._talk = talk
        self._running = ExitStack()
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self.step = "start"
        self.command = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.__exit__(kind, error, trace)

    def hear(self, line: str) -> None:
        if line.startswith("::step "):
            self._next(line.removeprefix("::step "))
        elif run := re.match("::+run (.*)", line):
            self.command = run[1].strip()
            self._last.clear()
        else:
            self._last.append(line)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """What the command said that runs now, or the end of it."""
        return tuple(self._last)

    def _next(self, step: str) -> None:
        self._running.close()
        self.step = step
        self._running.enter_context(self._talk.step(f"{self._image}: {step}"))
