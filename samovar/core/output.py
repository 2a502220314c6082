"""The one way to show things: data on stdout, talk on stderr; a terminal is told apart from a pipe by type, not by ifs.

Data is shown as a table for people or as JSON or YAML for programs; both come from the same value.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text


PIPE_WIDTH = 10_000  # off a terminal nothing is cut
SECONDS_A_LINE = 10.0
"""Between two lines of a log that tell how the same thing stands."""


ESCAPE_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[ -/]*[0-~])")
"""Of a terminal (ECMA-48): control sequences, such as colours, operating system commands, and the shorter ones."""


class Format(StrEnum):
    """How data is shown."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class Talk(Protocol):
    """What a command says while it works, on stderr."""

    def say(self, message: str) -> None:
        """One line."""

    def step(self, name: str) -> Any:
        """A context: the step is shown as it runs, and at its end with its seconds."""

    def now(self, state: str) -> None:
        """How the step that runs stands; told often, shown as often as it can be read."""


def printable(text: str) -> str:
    """`text` without what a terminal would obey: what a machine or a cloud says must not move the cursor.

    Escape sequences go, line breaks and tabs stay, and any other character that does not print is shown by its number.
    """
    plain = ESCAPE_SEQUENCE.sub("", text.replace("\r\n", "\n"))
    return "".join(_shown(letter) for letter in plain)


def _shown(letter: str) -> str:
    return letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()


class PlainTalk:
    """Off a terminal: one plain line an event, so that a log reads well."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def say(self, message: str) -> None:
        sys.stderr.write(f"{printable(message)}\n")  # at once: steps run side by side
        sys.stderr.flush()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        self.say(f"{name} ...")
        yield
        self.say(f"{name}: done in {time.monotonic() - began:.1f} s")

    def now(self, state: str) -> None:
        if time.monotonic() - self._told >= SECONDS_A_LINE:
            self._told = time.monotonic()
            self.say(state)


class TerminalTalk:
    """On a terminal: a spinner while a step runs, a line with its seconds once it is done."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - not needed for --help

        self._console = Console(stderr=True, highlight=False)
        self._running: dict[str, float] = {}
        self._status: Any = None
        self._state = ""

    def say(self, message: str) -> None:
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
        self._console.print(f"[green]✔[/] {name} [dim]{time.monotonic() - began:.1f} s[/]")

    def now(self, state: str) -> None:
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
        """On one line, whatever runs: a line that is drawn anew must not wrap."""
        from rich.text import Text  # noqa: PLC0415 - not needed for --help

        names = ", ".join(self._running)
        shown = Text(printable(f"{names}: {self._state}" if self._state else names))
        shown.truncate(self._console.width - len("⠋ "), overflow="ellipsis")
        return shown


def talk() -> Talk:
    """The talk that fits where stderr goes."""
    return TerminalTalk() if sys.stderr.isatty() else PlainTalk()


def show(value: Mapping[str, Any], fmt: Format, table: Iterable[RenderableType] = ()) -> None:
    """Writes `value` to stdout: as JSON or YAML whole, or by its `table` for people."""
    if fmt is Format.JSON:
        print(json.dumps(value, indent=2, ensure_ascii=False))
    elif fmt is Format.YAML:
        import yaml  # noqa: PLC0415 - only here

        plain = json.loads(json.dumps(value))  # tuples and enums look as they do in JSON
        print(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), end="")
    else:
        console = _stdout()
        for part in table:
            console.print(_plain(part))


def _plain(part: RenderableType) -> RenderableType:
    from rich.text import Text  # noqa: PLC0415 - not needed for --help

    return Text(printable(str(part))) if isinstance(part, str | Text) else part


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> RenderableType:
    """A plain table that keeps each row on one line, also in a pipe."""
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
