"""Records what a drill breaks, with all that is needed to break it, and to put it back after the drill."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from samovar.core.errors import ExitCode, SamovarError, WaitTimeout
from samovar.core.files import exclusive, write_private
from samovar.core.json_types import Json
from samovar.core.paths import cache_dir
from samovar.project.fault import FaultKind

LOCK_TIMEOUT = 0.2
"""Seconds; a drill takes minutes, so who holds the lock is not waited for."""


@dataclass(frozen=True)
class Breakage:
    """One thing that is broken: a machine, or a resource of the cloud, `after` so many seconds.

    `subject` is its id, `name` what people call it; `parameters` hold what the fault takes, and what it was before.
    """

    fault: FaultKind
    subject: str
    name: str
    parameters: Mapping[str, Json] = field(default_factory=dict)
    after: float = 0.0


class DrillRuns(SamovarError):
    """Another drill of the environment runs."""

    code = ExitCode.LOCKED


class Journal:
    """The record of what is broken in one environment now: a file of this user that outlives the drill.

    It is written before anything is broken. Whoever holds its lock runs the only drill of the environment.
    """

    def __init__(self, folder_id: str, environment: str, folder: Path | None = None) -> None:
        self.path = (folder or cache_dir() / "drills") / f"{folder_id}-{environment}.json"
        self._environment = environment

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock while the context lasts. Raises DrillRuns if another drill has it."""
        with ExitStack() as stack:
            try:
                stack.enter_context(exclusive(self.path.with_suffix(".lock"), timeout=LOCK_TIMEOUT))
            except WaitTimeout as error:
                raise DrillRuns(
                    f"another drill of {self._environment} runs: {error.message}", remedy="wait until it has ended"
                ) from error
            yield

    def read(self) -> tuple[Breakage, ...]:
        """Return what is broken; nothing if no drill was interrupted."""
        try:
            recorded = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return ()
        return tuple(Breakage(**{**each, "fault": FaultKind(each["fault"])}) for each in recorded)

    def in_words(self) -> frozenset[str]:
        """Return what is broken, for people; nothing where the journal is another user's, and may not be read."""
        try:
            return frozenset(f"{breakage.fault} {breakage.name}" for breakage in self.read())
        except PermissionError:
            return frozenset()

    def write(self, breakages: Sequence[Breakage]) -> None:
        """Record what is about to be broken, or what is left; without any the file goes."""
        if not breakages:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_private(self.path, json.dumps([asdict(each) for each in breakages]))
