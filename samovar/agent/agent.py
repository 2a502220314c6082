"""Runs the agent: it reads the inputs, renders, writes, checks and reloads, and watches for changes."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from . import metrics, report
from .clients import Lookup, Metadata, lookup
from .disks import Disk, read_disks
from .files import Files
from .inputs import Facts, Inputs, Periods, retry_until_available
from .render import BYTECODE, File, environment_file, render
from .role import InvalidConfig, Role, read_role, read_settings

TEMPLATES = "/usr/share/samovar/templates"
CHECK_TIMEOUT = 30.0
PERIODS = Periods()
CONFIGURED = "/run/samovar/configured"
"""A file that is there once the machine was configured since it booted."""

Run = Callable[[Sequence[str]], None]


def run(command: Sequence[str]) -> None:
    """Run a command. Raises InvalidConfig with the command and its last lines if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - the image's own commands
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CHECK_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InvalidConfig(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        output = "; ".join((done.stdout + done.stderr).strip().splitlines()[-3:])
        raise InvalidConfig(f"{' '.join(command)}: ended with {done.returncode}: {output}")


class Agent:
    """Keeps the files below `root` as metadata, name server and Lockbox state them."""

    def __init__(
        self,
        metadata: Metadata,
        root: Path = Path("/"),
        *,
        run: Run = run,
        lookup: Lookup = lookup,
        periods: Periods = PERIODS,
    ) -> None:
        self._inputs = Inputs(metadata, lookup, periods, report.status)
        self._files = Files(root)
        self._run = run
        self._periods = periods
        self._written: Sequence[File] = ()
        self._files_due = 0.0
        self._ends: Mapping[str, float] = {}
        self._metrics_due = 0.0
        self._refused = False

    def watch(self) -> Iterator[str]:
        """Configure the machine, yield its status, wait for a change, and so on for ever.

        A machine that was configured since it booted serves on with what it has, whatever comes: systemd would start
        nothing that is ordered after an agent that is not ready. Raises InvalidConfig on any other machine.
        """
        self._files.undo()
        if self._was_configured():
            yield report.STARTED
        facts = self._read_facts()
        while True:
            yield self._apply(facts)
            facts = self._wait_for_change(facts)

    def _was_configured(self) -> bool:
        return self._files.path(CONFIGURED).exists()

    def _apply(self, facts: Facts) -> str:
        self._refused = True
        try:
            status = self._configure(facts)
        except InvalidConfig as error:
            if not self._was_configured():
                raise
            return f"{report.UNUSABLE}: {error}; {report.KEPT}"
        self._refused = False
        self._files.path(CONFIGURED).parent.mkdir(parents=True, exist_ok=True)
        self._files.path(CONFIGURED).touch()
        return status

    def _wait_for_change(self, current: Facts) -> Facts:
        """Return the first facts that differ from the current ones; the same where they are to be applied again."""
        facts = current
        while facts == current:
            time.sleep(self._periods.check)
            facts = self._read_facts()
            self._write_metrics(facts)
            if self._is_due_again():
                break
        return facts

    def _is_due_again(self) -> bool:
        """Look now and then whether the facts are to be applied again: they were refused, or a file was edited."""
        if time.monotonic() < self._files_due:
            return False
        self._files_due = time.monotonic() + self._periods.files
        return self._refused or self._is_edited()

    def _is_edited(self) -> bool:
        """Return whether a file does not hold what was written into it, and report it."""
        edited = self._files.edited(self._written)
        if edited:
            report.status(f"{', '.join(edited)}: {report.EDITED}")
        return bool(edited)

    def _write_metrics(self, facts: Facts) -> None:
        """Write the agent's metrics, now and then, where somebody collects them."""
        if not facts.monitoring.collector or time.monotonic() < self._metrics_due:
            return
        self._metrics_due = time.monotonic() + metrics.PERIOD
        text = metrics.metrics(self._inputs.answered(), self._ends, refused=self._refused)
        metrics.write(self._files.path(metrics.FILE), text)

    def _read_facts(self) -> Facts:
        return retry_until_available(lambda: self._inputs.facts(self._role), report.status)

    def _configure(self, facts: Facts) -> str:
        if facts.role is None:
            return f"{report.BARE}: a bare machine, nothing to configure"
        role = self._role(facts.role)
        self._mount(read_disks(facts.settings))
        if facts.monitoring.collector:
            self._ends = metrics.certificate_ends(facts.secrets)
        settings = read_settings(facts.settings, role.defaults)
        try:
            files = render(role, settings, facts, self._template, self._files.path(BYTECODE))
            changed = self._files.change(files, lambda paths: self._check_and_reload(role, paths))
        except InvalidConfig as error:
            raise InvalidConfig(report.redact(str(error), facts.secrets)) from None
        self._written = files
        return f"role {facts.role}: {report.CONFIGURED if changed else report.UNCHANGED}"

    def _mount(self, disks: Sequence[Disk]) -> None:
        """Have systemd mount the disks, in its own view of the file system; what is mounted stays so."""
        self._files.change(
            (File(disk.variables_file, environment_file(disk.variables), 0o644) for disk in disks), lambda _: None
        )
        for disk in disks:
            try:
                self._run(["systemctl", "start", disk.unit])
            except InvalidConfig as error:
                problem = self._files.read(disk.problem_file)
                raise InvalidConfig(f"data disk {disk.name}: {problem.content.strip() if problem else error}") from None

    def _check_and_reload(self, role: Role, changed: Sequence[str]) -> None:
        if role.check:
            self._run(role.check)
        for command in role.reload_commands(changed):
            self._run(command)

    def _role(self, name: str) -> Role:
        where = f"/usr/lib/samovar/roles/{name}.yaml"
        path = self._files.path(where)
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or not path.is_file():
            raise InvalidConfig(f"samovar-role: {name}: this image has no {where}")
        return read_role(path.read_text(), where)

    def _template(self, name: str) -> str | None:
        path = self._files.path(f"{TEMPLATES}/{name}")
        return path.read_text() if path.is_file() else None
