"""The one way to show things: data on stdout, messages on stderr.

Data is shown as a table for people or as JSON or YAML for programs; both come from the same value. A terminal and a
pipe have a reporter each.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.status import Status
    from rich.text import Text

    from samovar.core.json_types import Json

PIPE_WIDTH = 10_000  # nothing is cut in a pipe
SECONDS_A_LINE = 10.0
"""The least time between two lines of a log on the progress of one step."""


ESCAPE_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[ -/]*[0-~])")
"""The escape sequences of a terminal (ECMA-48): control sequences, such as colours, OS commands, shorter ones."""
C1 = re.compile(r"[\x7f-\x9f]")
"""The control characters above ASCII (ECMA-48), and DEL."""


class Format(StrEnum):
    """The formats in which data is shown."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class Reporter(Protocol):
    """Reports on stderr what a command does."""

    def info(self, message: str) -> None:
        """Report one line."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """Return a context that shows the step while it runs, and at its end with its seconds."""

    def progress(self, state: str) -> None:
        """Report the state of the running step. It may be called often, and shows what can be read."""


def clock_time(seconds: float) -> str:
    """Return the time of day in UTC, with milliseconds, of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S.%f")[:-3]


def date_time(time: str) -> str:
    """Return the date and the time of day in UTC, to the second, of a time in RFC 3339; "" where there is none."""
    return datetime.fromisoformat(time).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if time else ""


def printable(text: str) -> str:
    """Return `text` without what a terminal would obey: text of a machine or a cloud must not move the cursor.

    Escape sequences go, line breaks and tabs stay, and any other character that does not print is shown by its number.
    """
    plain = ESCAPE_SEQUENCE.sub("", text.replace("\r\n", "\n"))
    return "".join(_shown(letter) for letter in plain)


def _shown(letter: str) -> str:
    return letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()


class PlainReporter:
    """Writes one plain line an event, for logs and pipes."""

    def __init__(self) -> None:
        self._last_line = time.monotonic()

    def info(self, message: str) -> None:
        sys.stderr.write(f"{printable(message)}\n")  # at once: steps run side by side
        sys.stderr.flush()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self.info(f"{name} ...")
        yield
        self.info(f"{name}: done in {time.monotonic() - began:.1f} s")

    def progress(self, state: str) -> None:
        if time.monotonic() - self._last_line >= SECONDS_A_LINE:
            self._last_line = time.monotonic()
            self.info(state)


class TerminalReporter:
    """Shows a spinner while a step runs, and a line with its seconds once it is done."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - not needed for --help

        self._console = Console(stderr=True, highlight=False)
        self._running: dict[str, float] = {}
        self._status: Status | None = None
        self._state = ""

    def info(self, message: str) -> None:
        self._console.print(printable(message), markup=False)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self._running[name] = began
        self._refresh()
        try:
            yield
        finally:
            del self._running[name]
            self._state = ""
            self._refresh()
        self._console.print(_done(name, time.monotonic() - began))

    def progress(self, state: str) -> None:
        self._state = state
        self._refresh()

    def _refresh(self) -> None:
        if not self._running:
            if self._status:
                self._status.stop()
            self._status = None
        elif self._status is None:
            self._status = self._console.status(self._shown())
            self._status.start()
        else:
            self._status.update(self._shown())

    def _shown(self) -> Text:
        """The state fits on one line: a line that is drawn anew must not wrap."""
        from rich.text import Text  # noqa: PLC0415 - not needed for --help

        names = ", ".join(self._running)
        shown = Text(printable(f"{names}: {self._state}" if self._state else names))
        shown.truncate(self._console.width - len("⠋ "), overflow="ellipsis")
        return shown


def _done(step: str, seconds: float) -> Text:
    """Return the line of a step that is done; its name may come from the output of a bake."""
    from rich.text import Text  # noqa: PLC0415 - not needed for --help

    return Text.assemble(("✔", "green"), f" {printable(step)} ", (f"{seconds:.1f} s", "dim"))


def stderr_reporter() -> Reporter:
    """Return the reporter that fits where stderr goes."""
    return TerminalReporter() if sys.stderr.isatty() else PlainReporter()


def to_plain(value: object) -> Json:
    """Return a value as JSON has it: dataclasses become mappings, tuples become lists, enums their values."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - not needed for --help

    plain: Json = TypeAdapter(type(value)).dump_python(value, mode="json")
    return plain


def to_json(value: object, *, indent: int | None = None) -> str:
    """Return a value as JSON; the control characters that JSON leaves as they are, and a terminal obeys, by number."""
    text = json.dumps(to_plain(value), indent=indent, ensure_ascii=False)
    return C1.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def show(value: object, fmt: Format, table: Iterable[RenderableType] = ()) -> None:
    """Write `value` to stdout: as JSON or YAML, or as its `table` for people. Whoever reads it has it at once."""
    if fmt is Format.JSON:
        print(to_json(value, indent=2), flush=True)
    elif fmt is Format.YAML:
        import yaml  # noqa: PLC0415 - only here

        print(yaml.safe_dump(to_plain(value), sort_keys=False, allow_unicode=True), end="", flush=True)
    else:
        for part in table:
            _show_part(part)


def _show_part(part: RenderableType) -> None:
    if isinstance(part, str):
        print(printable(part), flush=True)
        return
    from rich.text import Text  # noqa: PLC0415 - not needed for one line

    _stdout().print(Text(printable(part.plain)) if isinstance(part, Text) else part)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> RenderableType:
    """Return a plain table that keeps each row on one line, also in a pipe."""
    from rich.table import Table  # noqa: PLC0415 - not needed for --help
    from rich.text import Text  # noqa: PLC0415

    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, no_wrap=True)
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    return grid


def _stdout() -> Console:
    from rich.console import Console  # noqa: PLC0415 - not needed for --help

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH, soft_wrap=True)
