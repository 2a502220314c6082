"""Reads Packer's machine-readable output: its own phases become steps, the output of the bake passes through."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

COMMA = "%!(PACKER_COMMA)"
CLEANUP = ("Provisioning step had errors", "Destroying ", "Cancelling ", 'Step "Step', "aborted: ")
ARTIFACT = re.compile(r"\d+,[^,]*,artifact,\d+,id,([a-z0-9]+)")
PACKAGE = "::package "
PHASES = {
    "Creating disk": "disk",
    "Creating instance": "machine",
    "Waiting for SSH": "ssh",
    "Uploading": "upload",
    "Stopping instance": "stop",
    "Deleting instance": "delete machine",
    "Creating image": "image",
}
"""The first words with which Packer's plugin announces what takes time, and the name of that step."""
PREFIX = re.compile(r"^(==>|   )\s*yandex\.[^:]+:( |$)")


class Message(NamedTuple):
    """A line for people: `kind` is say, message or error; `at` seconds since 1970."""

    at: int
    kind: str
    text: str


def read_messages(line: str) -> tuple[Message, ...]:
    """Return the messages in a line of `timestamp,target,type,data...`; none if it is for programs alone.

    Packer writes a comma in its data as %!(PACKER_COMMA), and a line's end as a backslash and an n.
    """
    fields = line.split(",")
    if len(fields) < 5 or fields[2] != "ui" or not fields[0].isdecimal():  # noqa: PLR2004 - time, target, ui, kind, text
        return ()
    text = ",".join(fields[4:]).replace(COMMA, ",").replace("\\r", "").replace("\\n", "\n")
    return tuple(Message(int(fields[0]), fields[3], PREFIX.sub("", part)) for part in text.split("\n"))


class PackerOutput:
    """Reads the output line by line and passes `on_line` what a bake prints: `::step`, `::run`, and its output.

    `packages` are lines of `package<tab>version`. Once Packer has begun to clean up, nothing more is passed on: the
    failure must stay among the last lines.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._failed = False
        self._error = ""
        self.packages: list[str] = []
        self.image_id = ""

    def read(self, line: str) -> None:
        """Read one line."""
        if match := ARTIFACT.fullmatch(line):
            self.image_id = match[1]
        for message in read_messages(line):
            self._failed = self._failed or message.text.startswith(CLEANUP)
            if message.text and not self._failed and not self._is_repeated(message):
                self._pass_on(message)

    def _is_repeated(self, message: Message) -> bool:
        """Return whether Packer repeats an error: the plugin has printed it already."""
        before, self._error = self._error, message.text if message.kind == "error" else ""
        return message.kind == "error" and message.text == before

    def _pass_on(self, message: Message) -> None:
        phase = next((name for beginning, name in PHASES.items() if message.text.startswith(beginning)), "")
        if message.kind == "say" and phase:
            self._on_line(f"::step {phase}")
            self._on_line(f"::run packer: {message.text.rstrip('.')}")
        elif message.text.startswith(PACKAGE):
            self.packages.append(message.text.removeprefix(PACKAGE))
        else:
            self._on_line(message.text)
