"""The shell around the pure parts: ask, render, write, check, reload, and go on watching.

What a machine is configured by comes from `_facts` alone; names of peers and versions of secrets will be further facts.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import voice
from .errors import Wrong
from .facts import Facts, read_facts
from .files import Files
from .metadata import Instance, Metadata
from .patience import patiently
from .render import render
from .role import Role, read_role, read_settings

CHECK_TIMEOUT = 30.0
WAIT = 60
"""Seconds of one wait for a change."""
PAUSE = 5.0
"""Seconds between two questions to a service that does not wait."""

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
    """Keeps the files below `root` as the metadata service wants them."""

    def __init__(self, metadata: Metadata, root: Path = Path("/"), run: Run = run, pause: float = PAUSE) -> None:
        self._metadata = metadata
        self._files = Files(root)
        self._run = run
        self._pause = pause

    def passes(self) -> Iterator[str]:
        """Configures the machine, says how it stands, waits for a change, and so on for ever. Raises Wrong."""
        self._files.undo()
        instance = patiently(self._metadata.instance, voice.say)
        facts = read_facts(instance.document)
        while True:
            yield self._converge(facts)
            instance, facts = self._next(instance, facts)

    def _next(self, instance: Instance, facts: Facts) -> tuple[Instance, Facts]:
        """The first facts that differ from `facts`."""
        changed = facts
        while changed == facts:
            began = time.monotonic()
            known = instance.etag
            instance = patiently(lambda: self._metadata.instance(unlike=known, wait=WAIT), voice.say)  # noqa: B023
            changed = read_facts(instance.document)
            if changed == facts:
                time.sleep(max(0.0, self._pause - (time.monotonic() - began)))
        return instance, changed

    def _converge(self, facts: Facts) -> str:
        if facts.role is None:
            return "no samovar-role in the metadata: a bare machine, nothing to configure"
        role = self._role(facts.role)
        settings = read_settings(facts.settings, role.defaults)
        files = render(role, settings, facts.machine, self._template)
        changed = self._files.change(files, lambda: self._confirm(role))
        return f"role {facts.role}: {'configured' if changed else 'nothing to change'}"

    def _confirm(self, role: Role) -> None:
        if role.check:
            self._run(role.check)
        if role.units:
            self._run(role.reload_command())

    def _role(self, name: str) -> Role:
        where = f"/usr/lib/samovar/roles/{name}.yaml"
        path = self._files.path(where)
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or not path.is_file():
            raise Wrong(f"samovar-role: {name}: this image has no {where}")
        return read_role(path.read_text(), where)

    def _template(self, name: str) -> str | None:
        path = self._files.path(f"/usr/share/samovar/templates/{name}")
        return path.read_text() if path.is_file() else None
