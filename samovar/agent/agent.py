"""The shell around the pure parts: ask, render, write, check, reload, and go on watching."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import notify
from .errors import Wrong
from .facts import Facts
from .files import Files
from .inputs import Outside, Periods
from .metadata import Metadata
from .peers import Lookup, lookup
from .redact import hide
from .render import render
from .retry import patiently
from .role import Role, read_role, read_settings

CHECK_TIMEOUT = 30.0
PERIODS = Periods()

Run = Callable[[Sequence[str]], None]


def run(command: Sequence[str]) -> None:
    """Raises Wrong with the command and the last lines that it said."""
    try:
        done = subprocess.run(  # noqa: S603 - the image's own commands
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CHECK_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Wrong(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        said = "; ".join((done.stdout + done.stderr).strip().splitlines()[-3:])
        raise Wrong(f"{' '.join(command)}: ended with {done.returncode}: {said}")


class Agent:
    """Keeps the files below `root` as metadata, name server and Lockbox want them."""

    def __init__(
        self,
        metadata: Metadata,
        root: Path = Path("/"),
        *,
        run: Run = run,
        lookup: Lookup = lookup,
        periods: Periods = PERIODS,
    ) -> None:
        self._outside = Outside(metadata, lookup, periods, notify.say)
        self._files = Files(root)
        self._run = run
        self._pause = periods.look

    def passes(self) -> Iterator[str]:
        """Configures the machine, says how it stands, waits for a change, and so on for ever. Raises Wrong."""
        self._files.undo()
        facts = patiently(self._facts, notify.say)
        while True:
            yield self._converge(facts)
            facts = self._next(facts)

    def _next(self, known: Facts) -> Facts:
        """The first facts that differ from `known`."""
        facts = known
        while facts == known:
            time.sleep(self._pause)
            facts = patiently(self._facts, notify.say)
        return facts

    def _facts(self) -> Facts:
        return self._outside.facts(self._role)

    def _converge(self, facts: Facts) -> str:
        if facts.role is None:
            return "no samovar-role in the metadata: a bare machine, nothing to configure"
        role = self._role(facts.role)
        settings = read_settings(facts.settings, role.defaults)
        try:
            files = render(role, settings, facts, self._template)
            changed = self._files.change(files, lambda paths: self._confirm(role, paths))
        except Wrong as error:
            raise Wrong(hide(str(error), facts.secrets)) from None
        return f"role {facts.role}: {'configured' if changed else 'nothing to change'}"

    def _confirm(self, role: Role, changed: Sequence[str]) -> None:
        if role.check:
            self._run(role.check)
        if command := role.reload_command(changed):
            self._run(command)

    def _role(self, name: str) -> Role:
        where = f"/usr/lib/samovar/roles/{name}.yaml"
        path = self._files.path(where)
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or not path.is_file():
            raise Wrong(f"samovar-role: {name}: this image has no {where}")
        return read_role(path.read_text(), where)

    def _template(self, name: str) -> str | None:
        path = self._files.path(f"/usr/share/samovar/templates/{name}")
        return path.read_text() if path.is_file() else None
